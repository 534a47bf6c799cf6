import { parseArgs } from 'node:util';
import { type Command, commonOptions, exitCodes, parsed } from '../command.ts';
import { leasesNamed } from '../named.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';

export const release: Command = {
  name: 'release',
  summary: 'give a lease back',
  help: `Gives a lease back. When it was the last one, the idle time of the box begins.

Usage: spoonbox release USER LEASE
       spoonbox release lease/USER/LEASE…

Examples
  spoonbox release alice build-17
  spoonbox get leases alice -o name | xargs spoonbox release`,
  async run(args, signal) {
    const { values, positionals } = parsed('release', () =>
      parseArgs({ args: [...args], options: commonOptions, allowPositionals: true }),
    );
    const client = openClient(values);
    for (const { user, id } of leasesNamed('release', positionals)) {
      const released = await client.releaseLease(user, id, signal);
      print(released ? `lease ${id} of ${user} is given back` : `lease ${id} of ${user} had ended before`);
    }
    return exitCodes.ok;
  },
};
