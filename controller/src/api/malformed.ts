import type { FastifyRequest } from 'fastify';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ProblemCode, ProblemError, problemMediaType, problemOf } from '#shared/problem.ts';

/** What Node's parser refuses, by its codes; anything else is no HTTP at all. */
const ofParser: Record<string, { code: ProblemCode; detail: string }> = {
  HPE_HEADER_OVERFLOW: {
    code: 'headers-too-large',
    detail: 'the request was refused because its headers are over 16 KiB: send fewer of them, or shorter ones',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    code: 'request-too-slow',
    detail: 'the request was refused because it did not come whole in time: send it faster',
  },
};
const noHttp = {
  code: 'request-refused',
  detail: 'the request was refused because it is no HTTP/1.1: check its head',
} as const;

/** Connections with a request that is not answered yet. */
const answering = new WeakSet<Duplex>();

/**
 * What Node refuses before there is a request is answered with a problem like anything else. The answer to `clientErrorHandler`.
 */
export function answerMalformed(error: Error & { code?: string }, socket: Duplex): void {
  // Into an answer that is under way, nothing can be written that its reader would understand.
  if (error.code === 'ECONNRESET' || !socket.writable || answering.has(socket)) {
    socket.destroy();
    return;
  }
  const { code, detail } = ofParser[error.code ?? ''] ?? noHttp;
  const problem = problemOf(code, detail);
  const body = JSON.stringify(problem);
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${problem.title}`,
      `content-type: ${problemMediaType}`,
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

/** Notes which connections wait for an answer, and answers an `Expect` that nobody can meet. */
export function watchForMalformed(server: Server): void {
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    answering.add(socket);
    response.once('close', () => answering.delete(socket));
  });
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const detail =
      'the request was refused because only `100-continue` can be expected here: leave out the header Expect';
    const problem = problemOf('request-refused', detail);
    response.writeHead(problem.status, { 'content-type': problemMediaType, connection: 'close' });
    response.end(JSON.stringify(problem));
  });
}

/** Node would refuse it without a body. */
export async function refuseWithoutHost({ raw }: FastifyRequest): Promise<void> {
  if (raw.httpVersion !== '1.1' || raw.headers.host !== undefined) return;
  throw new ProblemError('request-refused', 'the request was refused because it names no host: send the header Host');
}
