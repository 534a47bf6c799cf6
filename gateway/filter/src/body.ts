import { z } from 'zod';
import { refused } from './refused.ts';

/**
 * The bodies that pass: strict, because the engine knows many more fields, and reads their names in any case (`privileged` is
 * `Privileged` to it). What goes to the engine is written anew from what was read here.
 */

const detachKeysLength = 200;

const Cells = z.int().min(1).max(1_000);
const ConsoleSize = z.tuple([Cells, Cells]);
/** A NUL would end the word for the kernel, and not for whoever reads it here. */
const isWord = (word: unknown): word is string => typeof word === 'string' && !word.includes('\0');

/** Looked at only up to the first that does not pass: a body has place for millions, and a problem of each would be kept. */
function words(passes: (word: string) => boolean, error: string): z.ZodType<string[]> {
  return z.custom<string[]>((list) => Array.isArray(list) && list.every((word) => isWord(word) && passes(word)), error);
}

/**
 * What a gateway says. Without `User` and `Privileged` it is the container's user's, and may what that may; without `WorkingDir` no
 * runtime is told to enter a directory that a program in the box can prepare (CVE-2024-21626).
 */
export const ExecCreateBody = z.strictObject({
  Cmd: words(() => true, 'is words without NUL').refine(({ length }) => length > 0, { error: 'is one word at least' }),
  Env: words((word) => /^[^=]+=/.test(word), 'is NAME=value, without NUL').optional(),
  AttachStdin: z.boolean().optional(),
  AttachStdout: z.boolean().optional(),
  AttachStderr: z.boolean().optional(),
  Tty: z.boolean().optional(),
  DetachKeys: z.string().max(detachKeysLength).optional(),
  ConsoleSize: ConsoleSize.optional(),
});
export type ExecCreateBody = z.infer<typeof ExecCreateBody>;

export const ExecStartBody = z.strictObject({
  Detach: z.literal(false, { error: 'an exec here is never detached' }),
  Tty: z.boolean(),
  ConsoleSize: ConsoleSize.optional(),
});
export type ExecStartBody = z.infer<typeof ExecStartBody>;

/** Throws a Refused that names each field that does not pass. Values are not repeated: environment may be secret. */
export function readBody<Body>(schema: z.ZodType<Body>, bytes: Buffer): Body {
  const parsed = schema.safeParse(jsonOf(bytes));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '));
  throw refused('this body', problems.join('; '));
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw refused('this body', 'it is no JSON in UTF-8');
  }
}
