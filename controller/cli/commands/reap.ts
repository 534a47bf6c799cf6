import { parseArgs } from 'node:util';
import type { BoxView } from '#shared/api-schemas.ts';
import { type Command, commonOptions, exitCodes, parsed } from '../command.ts';
import { mayGoOn, yesOption } from '../confirm.ts';
import { boxesOfUsers, usersNamed } from '../named.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';
import { waitUntilGone } from '../wait-gone.ts';

export const reap: Command = {
  name: 'reap',
  summary: 'end all leases of a box, stop and remove it; the home stays',
  help: `Ends all leases of a box, tells attached terminals why, stops and removes the box. What runs in it is
hung up and has the stop grace to save its work. Only the home survives. The next lease or terminal gets
a new box on the same home.

Usage: spoonbox reap USER… [options]

Options
  --wait      come back when the box is gone
  -y, --yes   do not ask (nobody is asked where there is no terminal)

Examples
  spoonbox reap alice --wait
  spoonbox get boxes -l phase=failed -o name | xargs spoonbox reap`,
  async run(args, signal) {
    const { values, positionals } = parsed('reap', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, wait: { type: 'boolean', default: false }, ...yesOption },
        allowPositionals: true,
      }),
    );
    const users = usersNamed('reap', positionals);
    const client = openClient(values);
    const what = `${boxesOfUsers(users)} will be reaped: what runs there is ended, and only the home survives`;
    if (!(await mayGoOn(what, values.yes, signal))) return exitCodes.failed;
    const going: BoxView[] = [];
    for (const user of users) {
      const before = await client.act(user, { action: 'reap' }, null, signal);
      if (before.phase === 'absent') print(`${user} has no box at present; its leases, if any, are ended`);
      else going.push(before);
      if (before.phase !== 'absent' && !values.wait)
        print(`the box of ${user} is being reaped; only the home survives`);
    }
    for (const before of values.wait ? going : []) {
      await waitUntilGone(client, before, signal);
      print(`the box of ${before.user} is gone; only the home survives`);
    }
    return exitCodes.ok;
  },
};
