import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { json } from 'node:stream/consumers';
import type Docker from 'docker-modem';
import { z } from 'zod';
import { engineErrorOf } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import { parseJson } from '#shared/json.ts';

/**
 * The two calls that make an exec and start it, on node:http itself: docker-modem takes half a millisecond more to make one, and
 * its stream costs 40 % more processor time on the byte path.
 */

type Operation = 'exec-create' | 'exec-start';

/** Body of the engine's call that makes an exec: what of it is used. */
export interface ExecOptions {
  readonly Cmd: readonly string[];
  readonly Env?: readonly string[];
  readonly AttachStdin?: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly Tty?: boolean;
  readonly DetachKeys?: string;
  /** rows, columns */
  readonly ConsoleSize?: readonly [number, number];
}

/** Its id. Rejects with an EngineError where the engine refuses, else with what node:http throws. */
export async function createExec(
  docker: Docker,
  containerId: string,
  body: ExecOptions,
  signal: AbortSignal,
): Promise<string> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const create = post(docker, { path: `/containers/${containerId}/exec`, body, signal });
    create.once('response', resolve).once('error', reject);
  });
  if (answer.statusCode !== 201) throw await refusalOf('exec-create', answer);
  return Created.parse(await json(answer)).Id;
}

/**
 * Starts it and takes over the connection (HTTP 101). The engine answers before the process exists; what goes wrong after that
 * is text in the stream. Rejects with an EngineError, or with the signal's reason.
 */
export function openExecStream(
  docker: Docker,
  execId: string,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const start = post(docker, { path: `/exec/${execId}/start`, body, signal, takesOver: true });
    start.once('upgrade', (_answer, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      // Without the time limit of a connection that is kept.
      if (socket instanceof Socket) socket.setNoDelay(true).setTimeout(0);
      socket.on('error', () => {}); // a `close` follows; between here and its user nobody else would hear it
      resolve(socket);
    });
    start.once('response', (answer) => {
      refusalOf('exec-start', answer).then(reject, reject);
    });
    start.once('error', (error) => {
      if (signal.aborted) reject(signal.reason);
      else
        reject(new EngineError({ operation: 'exec-start', kind: 'unreachable', status: null, message: error.message }));
    });
  });
}

function post(
  docker: Docker,
  of: { path: string; body: object; signal: AbortSignal; takesOver?: true },
): ClientRequest {
  const { version, ...address } = ModemAddress.parse(docker);
  const payload = JSON.stringify(of.body);
  const call = request({
    ...address,
    method: 'POST',
    path: `/${version}${of.path}`,
    headers: {
      host: 'docker',
      ...(of.takesOver && { connection: 'Upgrade', upgrade: 'tcp' }),
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(payload),
    },
    signal: of.signal,
  });
  call.end(payload);
  return call;
}

const Created = z.object({ Id: z.string() });

/** docker-modem keeps where it connects to, and leaves out what does not apply. */
const ModemAddress = z.object({
  version: z.string(),
  socketPath: z.string().optional(),
  host: z.string().optional(),
  port: z.coerce.number().optional(),
});

/** What is read of a refusal: it may be a proxy's whole page. */
const maxRefusalLength = 4_096;

async function refusalOf(operation: Operation, answer: IncomingMessage): Promise<EngineError> {
  let text = '';
  for await (const chunk of answer) {
    text += String(chunk);
    if (text.length > maxRefusalLength) break;
  }
  const message = text.trim() || `the engine answered ${answer.statusCode} instead of what was asked for`;
  return engineErrorOf(operation, { statusCode: answer.statusCode, message, json: parseJson(text) });
}
