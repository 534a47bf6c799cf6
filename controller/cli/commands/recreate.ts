import { parseArgs } from 'node:util';
import { type Command, commonOptions, exitCodes, parsed, userOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';

export const recreate: Command = {
  name: 'recreate',
  summary: 'replace a box by a new one of its class, on the same home',
  help: `Replaces a box by a new one, made from what its class says now, whether it is in use or not. Leases stay;
terminals end and can be attached again. Only the home survives.

Usage: spoonbox recreate USER

Examples
  spoonbox recreate alice`,
  async run(args, signal) {
    const { values, positionals } = parsed('recreate', () =>
      parseArgs({ args: [...args], options: commonOptions, allowPositionals: true }),
    );
    const user = userOf('recreate', positionals);
    await openClient(values).act(user, { action: 'recreate' }, signal);
    print(`the box of ${user} is being replaced; only the home survives`);
    return exitCodes.ok;
  },
};
