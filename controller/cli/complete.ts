import { type Command, commonOptions } from './command.ts';
import { kinds } from './get/kinds.ts';
import { openClient } from './open-client.ts';
import { optionsOf } from './options-of.ts';

/** A person waits at the keyboard. */
const answerWithinMs = 3_000;
/** Commands whose first argument is no user. */
const withoutUser = new Set([
  'status',
  'drain',
  'resume',
  'doctor',
  'cleanup',
  'version',
  'completion',
  'console',
  'api-token',
  'vault',
]);

/** What the last of `words` can be completed to. Never fails: what cannot be told is not offered. */
export async function completed(
  commands: readonly Command[],
  words: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const fits = (all: readonly string[]): string[] => all.filter((word) => word.startsWith(typed));
  const command = commands.find(({ name }) => name === before[0]);
  if (command === undefined) return before.length === 0 ? fits(commands.map(({ name }) => name)) : [];
  if (typed.startsWith('-')) {
    return fits([...optionsOf(command), ...Object.keys(commonOptions).map((name) => `--${name}`)]);
  }
  const given = before.slice(1).filter((word) => !word.startsWith('-'));
  if (command.name === 'completion') return fits(['bash', 'zsh', 'fish']);
  if (command.name === 'get' && given.length === 0) return fits(kinds.flatMap(({ names }) => names[0] ?? []));
  if (command.name === 'describe' && given.length === 0) return fits(['box']);
  if (withoutUser.has(command.name)) return [];
  const usersAt = command.name === 'get' || command.name === 'describe' ? 1 : 0;
  return given.length === usersAt ? fits(await users(signal)) : [];
}

async function users(signal: AbortSignal): Promise<string[]> {
  try {
    const client = openClient({});
    const boxes = await client.boxes(null, AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]));
    return boxes.map(({ user }) => user);
  } catch {
    return [];
  }
}
