import { modeText } from '#shared/vault-schemas.ts';
import { tooLarge } from '#shared/vault-import.ts';
import { maxFileBytes } from '#shared/vault.ts';
import { CliError, exitCodes, oneOf, positionalsOf, usageError, userOf } from '../command.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { hint, print, printable, table } from '../output.ts';
import { readInput } from './input.ts';
import { type Verb, vaultName } from './verb.ts';

const header = ['NAME', 'MODE', 'SIZE', 'KEY'];

export const ls: Verb = async (client, words, { output = 'table' }, signal) => {
  const user = userOf(vaultName, words);
  const format = oneOf(vaultName, 'output', output, ['table', 'json']);
  const [{ revision, items }, { items: variables }] = await Promise.all([
    client.dotfiles(user, signal),
    client.variables(user, signal),
  ]);
  if (format === 'json') {
    print(JSON.stringify({ revision, dotfiles: items, environment: variables }, null, 2));
    return exitCodes.ok;
  }
  const size = (bytes: number | null): string => (bytes === null ? '?' : humanBytes(bytes));
  const key = ({ opens, keyId }: { opens: boolean; keyId: string }): string =>
    opens ? keyId : `${keyId === '' ? 'damaged' : keyId} (cannot be opened)`;
  const rows = [
    ...items.map((file) => [printable(file.path), file.mode ?? '?', size(file.bytes), key(file)]),
    ...variables.map((variable) => [`$${printable(variable.name)}`, '', size(variable.bytes), key(variable)]),
  ];
  if (rows.length === 0)
    hint(`the vault of ${user} is empty: \`spoonbox vault set ${user} .bashrc FILE\` puts a file into it`);
  else for (const line of table([header, ...rows])) print(line);
  return exitCodes.ok;
};

export const get: Verb = async (client, words, { output = 'raw' }, signal) => {
  const [user = '', path = ''] = positionalsOf(vaultName, words, 'USER', 'PATH');
  const format = oneOf(vaultName, 'output', output, ['raw', 'json']);
  const file = await client.dotfile(user, path, signal);
  if (format === 'json') print(JSON.stringify(file, null, 2));
  else process.stdout.write(Buffer.from(file.content, file.encoding));
  return exitCodes.ok;
};

export const set: Verb = async (client, words, { mode }, signal) => {
  const [user, path, file, ...rest] = words;
  if (user === undefined || path === undefined || rest.length > 0) {
    throw usageError('say USER and PATH, and the FILE that is put there', vaultName);
  }
  const input = await readInput(file);
  const { length } = input.content;
  if (length > maxFileBytes) throw new CliError(`${file ?? 'standard input'} was not taken: ${tooLarge(length)}`);
  const bits = mode ?? modeText(input.mode ?? 0o644);
  const body = { content: input.content.toString('base64'), encoding: 'base64' as const, mode: bits };
  await client.putDotfile(user, path, body, signal);
  print(`${printable(path)} is in the vault of ${user}`);
  return exitCodes.ok;
};

export const rm: Verb = async (client, words, _options, signal) => {
  const [user, ...paths] = words;
  if (user === undefined || paths.length === 0) throw usageError('say USER and the PATHs to remove', vaultName);
  for (const path of paths) {
    await client.removeDotfile(user, path, signal);
    print(`${printable(path)} is not in the vault of ${user} any more`);
  }
  return exitCodes.ok;
};
