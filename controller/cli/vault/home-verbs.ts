import { relativeTime } from '#shared/human-time.ts';
import type { DriftKind } from '#shared/vault-status.ts';
import { exitCodes, oneOf, positionalsOf, usageError, userOf } from '../command.ts';
import { openSpoonbox } from '../open-client.ts';
import { hint, print, printable, table } from '../output.ts';
import { fileInBox } from './file-in-box.ts';
import { type Verb, vaultName } from './verb.ts';

/** `vault status` and `vault take`: a vault in the home of a box. */

const driftWords: Readonly<Record<DriftKind, string>> = {
  edited: 'edited in the box',
  foreign: 'was there before',
  removed: 'removed in the box',
  'no-file': 'no file in the box',
};

/** Exit code 1 where files of the vault are not in the home as the vault has them. */
export const status: Verb = async (client, words, { output = 'table' }, signal) => {
  const user = userOf(vaultName, words);
  const format = oneOf(vaultName, 'output', output, ['table', 'json']);
  const view = await client.vaultInHome(user, signal);
  const { applied, condition, revision } = view;
  const isIn = condition.status === 'True' && (revision === 0 || applied?.revision === revision);
  if (format === 'json') print(JSON.stringify(view, null, 2));
  else {
    print(printable(condition.message));
    const drift = applied?.drift ?? [];
    if (drift.length > 0) {
      const rows = drift.map(({ path, how }) => [printable(path), driftWords[how]]);
      for (const line of table([['PATH', 'IN THE HOME'], ...rows])) print(line);
      hint(`\`spoonbox vault take ${user} PATH --from box|vault\` takes either side`);
    }
    if (applied !== null) hint(`looked at ${relativeTime(applied.at, Date.now())}`);
  }
  return isIn ? exitCodes.ok : exitCodes.failed;
};

/** Takes one side of a file that the home has otherwise than the vault. */
export const take: Verb = async (client, words, options, signal) => {
  const [user = '', path = ''] = positionalsOf(vaultName, words, 'USER', 'PATH');
  if (options.from === undefined) throw usageError('say --from box or --from vault', vaultName);
  const side = oneOf(vaultName, 'from', options.from, ['box', 'vault']);
  if (side === 'vault') {
    await client.takeFromVault(user, path, signal);
    print(
      `${path} of the vault comes into the home of ${user} when the box runs; what was there stays as ${path}.spoonbox-saved`,
    );
    return exitCodes.ok;
  }
  const file = await fileInBox(openSpoonbox(options), user, path, signal);
  if (file === null) {
    await client.removeDotfile(user, path, signal);
    print(`${path} is not in the box of ${user}: it is removed from the vault`);
    return exitCodes.ok;
  }
  const { mode, content } = file;
  await client.putDotfile(user, path, { content: content.toString('base64'), encoding: 'base64', mode }, signal);
  print(`${path} of the box is in the vault of ${user} now`);
  return exitCodes.ok;
};
