import { parseArgs } from 'node:util';
import { relativeTime, utcTime } from '#shared/human-time.ts';
import { type Command, commonOptions, durationMs, exitCodes, parsed, userOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { personHere } from '../person.ts';
import { print } from '../output.ts';

/** One pin a user is enough for most: pinning again extends it. */
const usualId = 'pin';

export const pin: Command = {
  name: 'pin',
  summary: 'keep a box for days, whoever uses it',
  help: `Keeps the box of a user, and starts it where there is none, until the pin ends. A pin is a lease: \`spoonbox release
USER ${usualId}\` ends it early.

Usage: spoonbox pin USER [options]

Options
  --for TIME       up to 30d (default 1d)
  --reason TEXT    for people: who wants it, and why (default: you)
  --id ID          name of the lease (default ${usualId})

Examples
  spoonbox pin alice --for 2d --reason "demo on Friday"
  spoonbox release alice ${usualId}`,
  async run(args, signal) {
    const { values, positionals } = parsed('pin', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          for: { type: 'string', default: '1d' },
          reason: { type: 'string' },
          id: { type: 'string', default: usualId },
        },
        allowPositionals: true,
      }),
    );
    const user = userOf('pin', positionals);
    const ttlMs = durationMs('pin', 'for', values.for);
    const holder = values.reason ?? personHere();
    const client = openClient(values);
    const { lease, now } = await client.takeLease(user, values.id, { kind: 'pin', holder, ttlMs }, 0, signal);
    const until = `${utcTime(lease.expiresAt, now)} (${relativeTime(lease.expiresAt, now)})`;
    print(`the box of ${user} is kept until ${until}; \`spoonbox release ${user} ${values.id}\` ends that`);
    return exitCodes.ok;
  },
};
