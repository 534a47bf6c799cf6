import { usageError } from '../command.ts';
import { boxes } from './boxes.ts';
import type { Kind } from './kind.ts';
import { leases, sessions } from './of-boxes.ts';
import { classes, events, tokens } from './others.ts';

export const kinds: readonly Kind[] = [boxes, leases, sessions, classes, events, tokens];

export function kindOf(command: string, word: string | undefined): Kind {
  const known = kinds.map(({ names }) => names[0]).join(', ');
  if (word === undefined) throw usageError(`say what to ${command}: ${known}`, command);
  const kind = kinds.find(({ names }) => names.includes(word));
  if (kind === undefined) throw usageError(`${word} is nothing to ${command}: ${known}`, command);
  return kind;
}
