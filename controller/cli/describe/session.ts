import type { BoxView } from '#shared/api-schemas.ts';
import { CliError } from '../command.ts';
import { printable } from '../output.ts';
import { boxFact, type Fact, factLines, timeOf } from './sections.ts';
import { whatConditionsMean } from './what-it-means.ts';

/** One terminal session. */
export function sessionDescribed(box: BoxView, id: string): string[] {
  const { user, now } = box;
  const session = box.sessions.find((open) => open.id === id);
  if (session === undefined) {
    throw new CliError(`${user} has no session ${id}; \`spoonbox get sessions ${user}\` lists those that are open`);
  }
  const { mode, gateway, containerId, startedAt, detachedAt, persist, record, endingUntil } = session;
  const isOfBefore = box.containerId !== null && containerId !== box.containerId;
  const facts: Fact[] = [
    ['Session', id],
    boxFact(box),
    ['Mode', mode === 'rw' ? 'rw: who is attached may type' : 'ro: who is attached may only look'],
    ['Gateway', printable(gateway)],
    ['Container', isOfBefore ? `${containerId}, which is not the box any more` : containerId],
    ['Started', timeOf(startedAt, now)],
    ['Attached', detachedAt === 0 ? 'somebody is' : `nobody since ${timeOf(detachedAt, now)}`],
    ['Persist', persistWords[persist]],
    ['Recorded', recordWords[record]],
  ];
  const isEnding = endingUntil !== undefined && endingUntil > now;
  return [
    ...factLines(facts),
    ...(box.ready ? [] : whatConditionsMean([box])),
    '',
    isEnding
      ? 'It is being ended: nobody is attached, and its gateway is gone.'
      : `\`spoonbox attach ${user} --session ${id}\` joins it; with --read-only it only looks.`,
  ];
}

const persistWords = {
  none: 'none: the shell ends with its gateway',
  tmux: 'tmux: the shell goes on without its gateway, and another one goes on with it',
} as const;

const recordWords = { off: 'no', output: 'what it shows', input: 'what it shows, and what is typed' } as const;
