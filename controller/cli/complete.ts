import { Role } from '#shared/operator-schemas.ts';
import { type Command, commonOptions } from './command.ts';
import { describable } from './commands/describe.ts';
import { formats } from './get/shown.ts';
import { kinds } from './get/kinds.ts';
import { openClient } from './open-client.ts';
import { optionsOf, takesValue } from './options-of.ts';

/** A person waits at the keyboard. */
const answerWithinMs = 3_000;

/** What a word may be: one of these, or what the server knows. */
type Choice = readonly string[] | 'user' | 'lease' | 'session' | 'class';

const many = 20;
const user: readonly Choice[] = ['user'];
const users: readonly Choice[] = Array.from({ length: many }, () => 'user');

/** Of each command that has some: its arguments, one after the other. */
const argumentsOf: Readonly<Record<string, readonly Choice[]>> = {
  ...{ attach: user, run: user, exec: user, why: user, events: user, top: user, plan: user },
  ...{ lease: user, pin: user, token: user, adopt: user, reap: users, recreate: users, delete: users },
  get: [kinds.flatMap(({ names }) => names[0] ?? []), 'user'],
  describe: [describable],
  'describe box': user,
  'describe lease': ['user', 'lease'],
  'describe session': ['user', 'session'],
  'describe class': ['class'],
  release: ['user', 'lease'],
  vault: [['ls', 'get', 'set', 'rm', 'env', 'import', 'export', 'status', 'take', 'rotate'], 'user'],
  'vault env': [['ls', 'get', 'set', 'rm'], 'user'],
  rollout: [['status', 'pause', 'resume', 'now']],
  'api-token': [['create', 'list', 'revoke']],
  completion: [['bash', 'zsh', 'fish']],
};

/** What the last of `words` can be completed to. Never fails: what cannot be told is not offered. */
export async function completed(
  commands: readonly Command[],
  words: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const typed = words.at(-1) ?? '';
  const [name, ...before] = words.slice(0, -1);
  const fits = (all: readonly string[]): string[] => all.filter((word) => word.startsWith(typed));
  if (name === undefined) return fits(commands.map((command) => command.name));
  if (name === 'help') return before.length === 0 ? fits(commands.map((command) => command.name)) : [];
  const command = commands.find((known) => known.name === name);
  // What follows is another program's.
  if (command === undefined || before.includes('--')) return [];
  if (typed.startsWith('-')) {
    return fits([...optionsOf(command), ...Object.keys(commonOptions).map((option) => `--${option}`)]);
  }
  const last = before.at(-1);
  if (last !== undefined && takesValue(command, last)) return fits(valuesOf(name, last));
  const given = before.filter((word, at) => !word.startsWith('-') && !takesValue(command, before[at - 1] ?? ''));
  const sub = `${name} ${given[0]}`;
  const isSub = Object.hasOwn(argumentsOf, sub);
  const rest = isSub ? given.slice(1) : given;
  const choice = argumentsOf[isSub ? sub : name]?.[rest.length];
  if (choice === undefined) return [];
  if (typeof choice !== 'string') return fits(choice);
  return fits(await knownOf(choice, rest, AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)])));
}

function valuesOf(command: string, option: string): readonly string[] {
  if (option === '--role') return Role.options;
  if (option !== '-o' && option !== '--output') return [];
  return command === 'get' || command === 'events' ? formats : ['json'];
}

async function knownOf(choice: string, given: readonly string[], signal: AbortSignal): Promise<string[]> {
  try {
    const client = openClient({});
    if (choice === 'class') return (await client.classes(signal)).map(({ name }) => name);
    if (choice === 'user') return (await client.boxes(null, signal)).map((box) => box.user);
    const box = await client.box(given[0] ?? '', signal);
    return (choice === 'lease' ? box.leases : box.sessions).map(({ id }) => id);
  } catch {
    return [];
  }
}
