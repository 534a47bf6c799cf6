import { exitCodesHelp } from './command.ts';
import { commandGroups } from './commands.ts';
import { table } from './output.ts';

/** What `spoonbox --help` prints. */
export function overview(): string {
  const all = commandGroups.flatMap(({ commands }) => commands.map(({ name, summary }) => [`  ${name}`, summary]));
  const lines = table(all);
  const groups = commandGroups.map(({ title, commands }) => `${title}\n${lines.splice(0, commands.length).join('\n')}`);
  return `spoonbox: a box of their own for every user

Usage: spoonbox COMMAND [options]

${groups.join('\n\n')}

Options of every command
  --server URL   where the API is      (else SPOONBOX_SERVER, else .spoonbox/client.json)
  --token TOKEN  its bearer token      (else SPOONBOX_TOKEN, else the same file; one of the first two is never sent
                 to a server that only the file names, which may be in anybody's checkout)
  -h, --help     what the command does, with examples

${exitCodesHelp}

Examples
  spoonbox attach alice
  spoonbox run alice -- make test
  spoonbox get boxes -w
  spoonbox why alice`;
}
