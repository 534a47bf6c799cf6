import { parseArgs } from 'node:util';
import { type Command, commonOptions, exitCodes, parsed, userOf } from '../command.ts';
import { mayGoOn, yesOption } from '../confirm.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';
import { waitUntilGone } from '../wait-gone.ts';

export const deleteBox: Command = {
  name: 'delete',
  summary: 'reap a box and forget its user; the home stays',
  help: `Ends all leases of a box, stops and removes it, and forgets what was known of the user. The home and the
vault stay.

Usage: spoonbox delete USER [options]

Options
  --wait      come back when the box is gone
  -y, --yes   do not ask (nobody is asked where there is no terminal)

Examples
  spoonbox delete alice`,
  async run(args, signal) {
    const { values, positionals } = parsed('delete', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, wait: { type: 'boolean', default: false }, ...yesOption },
        allowPositionals: true,
      }),
    );
    const user = userOf('delete', positionals);
    const client = openClient(values);
    if (
      !(await mayGoOn(
        `the box of ${user} is deleted, and what is known of the user forgotten: only the home and the vault survive`,
        values.yes,
        signal,
      ))
    )
      return exitCodes.failed;
    const before = await client.delete(user, signal);
    if (values.wait) await waitUntilGone(client, before, signal);
    print(`the box of ${user} ${values.wait ? 'is gone' : 'is being deleted'}; the home stays`);
    return exitCodes.ok;
  },
};
