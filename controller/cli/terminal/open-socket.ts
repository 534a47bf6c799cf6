import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { parseJson } from '#shared/json.ts';
import { Problem } from '#shared/problem.ts';
import type { LinkSocket } from '#shared/terminal-link.ts';
import { terminalLimits } from '#shared/terminal-protocol.ts';
import { ApiRefusal, type SpoonboxError, Unreachable } from '../../sdk/errors.ts';

const maxRefusalChars = 16_384;

/** A socket whose refusal (before it is a WebSocket) is heard: the standard one keeps the body from its user. */
export function openSocket(url: string, protocols: string[]): LinkSocket {
  const socket = new WebSocket(url, protocols, {
    perMessageDeflate: false,
    maxPayload: 2 * terminalLimits.maxFrameBytes,
  });
  socket.on('unexpected-response', (_request, answer) => {
    const tell = (error: unknown): void => {
      // Before the end, which follows: the first error is the one that counts.
      socket.emit('error', error);
      socket.terminate();
    };
    refusalOf(url, answer).then(tell, tell);
  });
  return socket;
}

/** What the gateway says in the body. */
export async function refusalOf(url: string, answer: IncomingMessage): Promise<SpoonboxError> {
  let body = '';
  for await (const chunk of answer) {
    body += String(chunk);
    if (body.length > maxRefusalChars) break;
  }
  const problem = Problem.safeParse(parseJson(body));
  if (problem.success) return new ApiRefusal(problem.data);
  return unusable(url, new Error(`it answered HTTP ${answer.statusCode}`));
}

export function unusable(url: string, error: unknown): Unreachable {
  const message = error instanceof Error ? error.message : String(error);
  const why = error instanceof Error && 'code' in error && message === '' ? String(error.code) : message;
  return new Unreachable(
    `the terminal gateway at ${url.replace(/\?.*$/, '')} cannot be used (${why}): is it running, and reached from here?`,
    { cause: error },
  );
}
