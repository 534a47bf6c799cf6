import { parseArgs } from 'node:util';
import type { BoxView } from '#shared/api-schemas.ts';
import { type Command, commonOptions, exitCodes, parsed } from '../command.ts';
import { mayGoOn, yesOption } from '../confirm.ts';
import { boxesOfUsers, usersNamed } from '../named.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';
import { waitUntilGone } from '../wait-gone.ts';

export const deleteBox: Command = {
  name: 'delete',
  summary: 'reap a box and forget its user; the home stays',
  help: `Ends all leases of a box, stops and removes it, and forgets what was known of the user. The home and the
vault stay.

Usage: spoonbox delete USER… [options]

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
    const users = usersNamed('delete', positionals);
    const client = openClient(values);
    const what = `${boxesOfUsers(users)} will be deleted, and what is known of the user forgotten: only the home and the vault survive`;
    if (!(await mayGoOn(what, values.yes, signal))) return exitCodes.failed;
    const going: BoxView[] = [];
    for (const user of users) {
      going.push(await client.delete(user, null, signal));
      if (!values.wait) print(`the box of ${user} is being deleted; the home stays`);
    }
    for (const before of values.wait ? going : []) {
      await waitUntilGone(client, before, signal);
      print(`the box of ${before.user} is gone; the home stays`);
    }
    return exitCodes.ok;
  },
};
