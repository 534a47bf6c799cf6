import { CliError, exitCodes, oneOf, positionalsOf, usageError, userOf } from '../command.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { hint, print, printable, table } from '../output.ts';
import { readInput } from './input.ts';
import { type Verb, vaultName, verbOf } from './verb.ts';

const ls: Verb = async (client, words, { output = 'table' }, signal) => {
  const user = userOf(vaultName, words);
  const format = oneOf(vaultName, 'output', output, ['table', 'json']);
  const { revision, items } = await client.variables(user, signal);
  if (format === 'json') print(JSON.stringify({ revision, items }, null, 2));
  else if (items.length === 0) hint(`the vault of ${user} has no variables`);
  else {
    const rows = items.map(({ name, bytes }) => [
      printable(name),
      bytes === null ? 'cannot be opened' : humanBytes(bytes),
    ]);
    for (const line of table([['NAME', 'SIZE'], ...rows])) print(line);
  }
  return exitCodes.ok;
};

const get: Verb = async (client, words, _options, signal) => {
  const [user = '', name = ''] = positionalsOf(vaultName, words, 'USER', 'NAME');
  process.stdout.write(await client.variable(user, name, signal));
  return exitCodes.ok;
};

/** The value is never an argument: those are in the process list and in the shell's history. */
const set: Verb = async (client, words, options, signal) => {
  const [user, name, ...rest] = words;
  if (rest.length > 0) {
    throw usageError(
      'the value is read from standard input or --from-file, so that no process list shows it',
      vaultName,
    );
  }
  if (user === undefined || name === undefined) throw usageError('say USER and NAME', vaultName);
  const { content } = await readInput(options['from-file']);
  const text = content.toString('utf8');
  if (!Buffer.from(text).equals(content))
    throw new CliError('the value is no UTF-8 text, and no environment can hold it');
  await client.putVariable(user, name, text.replace(/\r?\n$/, ''), signal);
  print(`$${printable(name)} is in the vault of ${user}`);
  return exitCodes.ok;
};

const rm: Verb = async (client, words, _options, signal) => {
  const [user, ...names] = words;
  if (user === undefined || names.length === 0) throw usageError('say USER and the NAMEs to remove', vaultName);
  for (const name of names) {
    await client.removeVariable(user, name, signal);
    print(`$${printable(name)} is not in the vault of ${user} any more`);
  }
  return exitCodes.ok;
};

export const env: Verb = (client, [verb, ...words], options, signal) =>
  verbOf({ ls, get, set, rm }, verb)(client, words, options, signal);
