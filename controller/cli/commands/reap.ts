import { parseArgs } from 'node:util';
import { type Command, commonOptions, exitCodes, parsed, userOf } from '../command.ts';
import { mayGoOn, yesOption } from '../confirm.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';
import { waitUntilGone } from '../wait-gone.ts';

export const reap: Command = {
  name: 'reap',
  summary: 'end all leases of a box, stop and remove it; the home stays',
  help: `Ends all leases of a box, tells attached terminals why, stops and removes the box. What runs in it is
hung up and has the stop grace to save its work. Only the home survives. The next lease or terminal gets
a new box on the same home.

Usage: spoonbox reap USER [options]

Options
  --wait      come back when the box is gone
  -y, --yes   do not ask (nobody is asked where there is no terminal)

Examples
  spoonbox reap alice --wait`,
  async run(args, signal) {
    const { values, positionals } = parsed('reap', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, wait: { type: 'boolean', default: false }, ...yesOption },
        allowPositionals: true,
      }),
    );
    const user = userOf('reap', positionals);
    const client = openClient(values);
    if (
      !(await mayGoOn(
        `the box of ${user} is reaped: what runs in it is ended, and only the home survives`,
        values.yes,
        signal,
      ))
    )
      return exitCodes.failed;
    const before = await client.act(user, { action: 'reap' }, signal);
    if (before.phase === 'absent') {
      print(`${user} has no box at present; its leases, if any, are ended`);
      return exitCodes.ok;
    }
    if (values.wait) await waitUntilGone(client, before, signal);
    print(`the box of ${user} ${values.wait ? 'is gone' : 'is being reaped'}; only the home survives`);
    return exitCodes.ok;
  },
};
