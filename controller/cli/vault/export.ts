import { exitCodes, userOf } from '../command.ts';
import { print } from '../output.ts';
import { type Verb, vaultName } from './verb.ts';

/** Values and all, as `import --json` reads it. */
export const exportFrom: Verb = async (client, words, _options, signal) => {
  const { dotfiles, environment } = await client.vault(userOf(vaultName, words), signal);
  print(JSON.stringify({ dotfiles, environment }, null, 2));
  return exitCodes.ok;
};
