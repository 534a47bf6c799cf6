import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { LeaseReply } from '#shared/api-schemas.ts';
import { relativeTime, utcTime } from '#shared/human-time.ts';
import { checkoutHelp, checkoutIn, checkoutOptions } from '../checkout-options.ts';
import { LeasePriority } from '#shared/lease.ts';
import { type Command, commonOptions, durationMs, exitCodes, oneOf, parsed, userOf, waitOf } from '../command.ts';
import { keepLooking } from '../keep-looking.ts';
import { openClient } from '../open-client.ts';
import { personHere } from '../person.ts';
import { hint, print, printable, statusLine } from '../output.ts';
import { waitingLine } from '../waiting-text.ts';

/** One request waits this long, so that a person sees what it waits for. */
const sliceMs = 2_000;

export const lease: Command = {
  name: 'lease',
  summary: 'hold a box for a while',
  help: `Takes a lease: the box is started, and kept until the lease has ended and its idle time is over.
Taking the same lease again extends it. Answers with the id of the lease on standard output.

Usage: spoonbox lease USER [options]

Options
  --id ID           name of the lease (default: a new one)
  --kind KIND       job: 10 s to 5 min, to be renewed (default); pin: up to 30 days
  --holder WHO      who holds it, for people (default: you)
  --ttl TIME        how long it lasts unless taken again (default 60s; of a pin 1h)
  --class CLASS     the class that the box is to have
  --priority P      low, normal (default) or high: where more boxes are asked for than may be there
  --record WHAT     record the user's terminals that open while it lives: output, or input (what is typed, too)
${checkoutHelp}
  --wait TIME       wait until the box is ready, at most this long; the lease is renewed meanwhile
  -o json           what the API answers

Exits with 75 when the box was not ready in time; the lease is taken all the same.

Examples
  spoonbox lease alice --id build-17 --holder agent-7 --ttl 60s --wait 60s
  spoonbox lease alice --kind pin --ttl 2d --holder "demo on Friday"`,
  async run(args, signal) {
    const { values, positionals } = parsed('lease', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          ...checkoutOptions,
          id: { type: 'string' },
          kind: { type: 'string', default: 'job' },
          holder: { type: 'string' },
          ttl: { type: 'string' },
          class: { type: 'string' },
          record: { type: 'string' },
          priority: { type: 'string' },
          wait: { type: 'string', default: '0s' },
          output: { type: 'string', short: 'o', default: 'text' },
        },
        allowPositionals: true,
      }),
    );
    const user = userOf('lease', positionals);
    const kind = oneOf('lease', 'kind', values.kind, ['job', 'pin']);
    const format = oneOf('lease', 'output', values.output, ['text', 'json']);
    const body = {
      kind,
      holder: values.holder ?? personHere(),
      ttlMs: durationMs('lease', 'ttl', values.ttl ?? (kind === 'pin' ? '1h' : '60s')),
      class: values.class,
      record: values.record === undefined ? undefined : oneOf('lease', 'record', values.record, ['output', 'input']),
      checkout: checkoutIn('lease', values),
      ...(values.priority === undefined
        ? {}
        : { priority: oneOf('lease', 'priority', values.priority, LeasePriority.options) }),
    };
    const waitMs = waitOf('lease', values.wait);
    const id = values.id ?? `cli-${randomBytes(4).toString('hex')}`;
    const client = openClient(values);

    let reply = await client.takeLease(user, id, body, 0, signal);
    if (!reply.ready && waitMs > 0) {
      const tooLate = AbortSignal.timeout(waitMs);
      const stop = AbortSignal.any([signal, tooLate]);
      const status = statusLine();
      const show = (): void =>
        status.show(`${user}: ${waitingLine({ ...reply.box, message: reply.waitsFor ?? reply.box.message })}`);
      const take = (): Promise<LeaseReply> => client.takeLease(user, id, body, sliceMs, stop);
      show();
      try {
        for await (reply of keepLooking(take, { everyMs: 0, hasHeard: true, say: status.show }, stop)) {
          if (reply.ready) break;
          show();
        }
      } catch (error) {
        if (signal.aborted || !tooLate.aborted) throw error;
      } finally {
        status.clear();
      }
    }
    if (format === 'json') print(JSON.stringify(reply, null, 2));
    else print(id);
    const { now, ready, waitsFor } = reply;
    const { expiresAt } = reply.lease;
    hint(
      `lease ${id} holds the box of ${user} until ${utcTime(expiresAt, now)} (${relativeTime(expiresAt, now)}); ` +
        (ready ? 'the box is ready' : `the box is not ready yet: ${printable(waitsFor ?? '')}`),
    );
    return ready || waitMs === 0 ? exitCodes.ok : exitCodes.notYet;
  },
};
