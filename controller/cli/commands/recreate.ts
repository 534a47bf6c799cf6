import { parseArgs } from 'node:util';
import type { BoxView } from '#shared/api-schemas.ts';
import { type Command, commonOptions, exitCodes, parsed } from '../command.ts';
import { mayGoOn, yesOption } from '../confirm.ts';
import { boxesOfUsers, usersNamed } from '../named.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';
import { waitUntilGone } from '../wait-gone.ts';

export const recreate: Command = {
  name: 'recreate',
  summary: 'replace a box by a new one of its class, on the same home',
  help: `Replaces a box by a new one, made from what its class says now, whether it is in use or not. Leases stay;
terminals end and can be attached again. Only the home survives.

Usage: spoonbox recreate USER… [options]

Options
  --wait      come back when the old box is gone
  -y, --yes   do not ask (nobody is asked where there is no terminal)

Examples
  spoonbox recreate alice`,
  async run(args, signal) {
    const { values, positionals } = parsed('recreate', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, wait: { type: 'boolean', default: false }, ...yesOption },
        allowPositionals: true,
      }),
    );
    const users = usersNamed('recreate', positionals);
    const client = openClient(values);
    const what = `${boxesOfUsers(users)} will be made anew: what runs there is ended, and only the home survives`;
    if (!(await mayGoOn(what, values.yes, signal))) return exitCodes.failed;
    const going: BoxView[] = [];
    for (const user of users) {
      going.push(await client.act(user, { action: 'recreate' }, null, signal));
      if (!values.wait) print(`the box of ${user} is being replaced; only the home survives`);
    }
    for (const before of values.wait ? going : []) {
      await waitUntilGone(client, before, signal);
      print(`the box of ${before.user} was replaced; only the home survives`);
    }
    return exitCodes.ok;
  },
};
