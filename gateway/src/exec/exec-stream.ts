import { type IncomingMessage, request } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type Docker from 'docker-modem';
import { z } from 'zod';
import { EngineError, type FaultKind } from '#shared/faults.ts';

/**
 * Starts an exec and takes over the connection (HTTP 101). Done on node:http itself: docker-modem's stream costs 40 % more CPU
 * on the byte path. The engine answers before the process exists; what goes wrong after that is text in the stream.
 */
export function openExecStream(
  docker: Docker,
  execId: string,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Duplex> {
  const { version, ...address } = ModemAddress.parse(docker);
  const payload = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const start = request({
      ...address,
      agent: false,
      method: 'POST',
      path: `/${version}/exec/${execId}/start`,
      headers: {
        host: 'docker',
        connection: 'Upgrade',
        upgrade: 'tcp',
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(payload),
      },
      signal,
    });
    start.once('upgrade', (_answer, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      if (socket instanceof Socket) socket.setNoDelay(true);
      socket.on('error', () => {}); // a `close` follows; between here and its user nobody else would hear it
      resolve(socket);
    });
    start.once('response', (answer) => {
      refusalOf(answer).then(reject, reject);
    });
    start.once('error', (error) => {
      reject(signal.aborted ? signal.reason : faultOf('unreachable', null, error.message));
    });
    start.end(payload);
  });
}

/** docker-modem keeps where it connects to, and leaves out what does not apply. */
const ModemAddress = z.object({
  version: z.string(),
  socketPath: z.string().optional(),
  host: z.string().optional(),
  port: z.coerce.number().optional(),
});

/** What is told of a refusal: people read it in their terminals, and it may be a proxy's whole page. */
const maxRefusalLength = 500;

async function refusalOf(answer: IncomingMessage): Promise<EngineError> {
  let text = '';
  for await (const chunk of answer) {
    text += String(chunk);
    if (text.length > maxRefusalLength) break;
  }
  const status = answer.statusCode ?? 0;
  const kind = status === 404 ? 'not-found' : status === 409 ? 'conflict' : status < 500 ? 'invalid' : 'failed';
  return faultOf(
    kind,
    status,
    text.trim().slice(0, maxRefusalLength) || `the engine answered ${status} instead of a stream`,
  );
}

function faultOf(kind: FaultKind, status: number | null, message: string): EngineError {
  return new EngineError({ operation: 'exec-start', kind, status, message });
}
