import { humanCount } from '#shared/human-count.ts';
import type { VaultRotated } from '#shared/vault-schemas.ts';
import { exitCodes, oneOf, positionalsOf } from '../command.ts';
import { hint, print, printable, statusLine } from '../output.ts';
import { type Verb, vaultName } from './verb.ts';

/** Part by part. Interrupted, it is begun again and finds what is done already. */
export const rotate: Verb = async (client, words, { output = 'text' }, signal) => {
  positionalsOf(vaultName, words);
  const format = oneOf(vaultName, 'output', output, ['text', 'json']);
  const sum = { resealed: 0, current: 0, changed: 0, unreadable: 0 };
  const unreadable: VaultRotated['unreadable'] = [];
  let users = 0;
  let keyId = '';
  const line = statusLine();
  for (let from: string | null = null, isFirst = true; isFirst || from !== null; isFirst = false) {
    const part: VaultRotated = await client.rotateVaults(from, signal);
    sum.resealed += part.entries.resealed;
    sum.current += part.entries.current;
    sum.changed += part.entries.changed;
    sum.unreadable += part.entries.unreadable;
    unreadable.push(...part.unreadable);
    users += part.users.done;
    keyId = part.keyId;
    from = part.continue;
    if (from !== null) line.show(`${users} of ${users + part.users.left} users`);
  }
  line.clear();
  if (format === 'json') print(JSON.stringify({ keyId, users, entries: sum, unreadable }, null, 2));
  else {
    const already = sum.current + sum.changed;
    const of = humanCount(users, 'user');
    print(`of ${of}, under the key ${keyId}: ${humanCount(sum.resealed, 'entry', 'entries')} anew, ${already} already`);
    for (const { user, entry, why } of unreadable)
      hint(`${user}: ${printable(entry)} stays as it is: ${printable(why)}`);
    const closed = humanCount(sum.unreadable, 'entry', 'entries');
    if (sum.unreadable > 0) hint(`${closed} could not be opened: keep the previous keys configured`);
    else hint('no previous key is needed any more: SPOON_ENCRYPTION_KEY_PREVIOUS can be removed');
  }
  return sum.unreadable === 0 ? exitCodes.ok : exitCodes.failed;
};
