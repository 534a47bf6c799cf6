import { parseArgs } from 'node:util';
import { type Command, commonOptions, exitCodes, parsed, positionalsOf, usageError } from '../command.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';

export const adopt: Command = {
  name: 'adopt',
  summary: 'allow to replace a container that is not ours and has the name of a box',
  help: `A container that Spoonbox did not make is never touched, also where it has the name of a box (condition
NameTaken). This is the consent to replace that one container by a box, on the same home, once no program
started by exec runs in it.

Usage: spoonbox adopt USER CONTAINER-ID [--now]

Options
  --now   also while programs run in it

Examples
  spoonbox adopt alice "$(docker inspect -f '{{.Id}}' spoon-box-alice)"`,
  async run(args, signal) {
    const { values, positionals } = parsed('adopt', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, now: { type: 'boolean', default: false } },
        allowPositionals: true,
      }),
    );
    const [user = '', containerId = ''] = positionalsOf('adopt', positionals, 'USER', 'CONTAINER-ID');
    if (!/^[0-9a-f]{12,64}$/.test(containerId)) {
      throw usageError(`${containerId} is no id of a container: 12 to 64 hex digits`, 'adopt');
    }
    await openClient(values).act(user, { action: 'adopt', containerId, now: values.now }, null, signal);
    print(`container ${containerId.slice(0, 12)} may be replaced by the box of ${user}`);
    return exitCodes.ok;
  },
};
