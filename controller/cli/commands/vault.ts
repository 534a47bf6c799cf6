import { parseArgs } from 'node:util';
import { type Command, commonOptions, parsed, usageError } from '../command.ts';
import { vaultStatus, vaultTake } from '../vault/home-verbs.ts';

const name = 'vault';
const verbs = 'status, take';

export const vault: Command = {
  name,
  summary: "a user's dotfiles and variables",
  help: `Shows how the vault of a user stands in the home, and takes either side of a file that was edited there. What of the
vault is in the home is told as of the last time that it was written: when the box started, or the vault changed. Exit code 1
where files of the vault are not in the home as the vault has them.

Usage: spoonbox vault status USER [-o table|json]
       spoonbox vault take USER PATH --from box|vault

Options
  --from SIDE   box: the box's file becomes the vault's (one that is not there any more is removed from the vault);
                vault: the vault's file comes into the home, and what was there stays as PATH.spoonbox-saved
  -o FORMAT     table (default) or json

Examples
  spoonbox vault status alice
  spoonbox vault take alice .bashrc --from box
  spoonbox vault take alice .config/git/config --from vault`,
  async run(args, signal) {
    const { values, positionals } = parsed(name, () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, from: { type: 'string' }, output: { type: 'string', short: 'o' } },
        allowPositionals: true,
      }),
    );
    const [verb = '', ...rest] = positionals;
    switch (verb) {
      case 'status':
        return await vaultStatus(rest, values, signal);
      case 'take':
        return await vaultTake(rest, values, signal);
      default:
        throw usageError(verb === '' ? `say what to do: ${verbs}` : `${verb} is none of ${verbs}`, name);
    }
  },
};
