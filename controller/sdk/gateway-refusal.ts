import type { IncomingMessage } from 'node:http';
import { codeOf } from '#shared/faults.ts';
import { parseJson } from '#shared/json.ts';
import { Problem } from '#shared/problem.ts';
import { ApiRefusal, SpoonboxError, Unreachable } from './errors.ts';

const maxRefusalChars = 16_384;
/** The words of a command are in the URL. */
const tooLong = [413, 414, 431];

/** What the gateway says in the body of an answer that is no WebSocket. */
export async function refusalOf(url: string, answer: IncomingMessage): Promise<SpoonboxError> {
  let body = '';
  for await (const chunk of answer) {
    body += String(chunk);
    if (body.length > maxRefusalChars) break;
  }
  const problem = Problem.safeParse(parseJson(body));
  if (problem.success) return new ApiRefusal(problem.data);
  if (tooLong.includes(answer.statusCode ?? 0)) return tooManyWords(url);
  return unusable(url, new Error(`it answered HTTP ${answer.statusCode}`));
}

export function tooManyWords(url: string): SpoonboxError {
  return new SpoonboxError(
    `the command has more or longer arguments than the way to the gateway at ${url} can carry: give it less at once`,
  );
}

export function unusable(url: string, error: unknown): Unreachable {
  const message = error instanceof Error ? error.message : String(error);
  const why = message || codeOf(error);
  return new Unreachable(
    `the terminal gateway at ${url.replace(/\?.*$/, '')} cannot be used (${why}): is it running, and reached from here?`,
    { cause: error },
  );
}
