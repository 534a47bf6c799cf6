import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { Exec, KubeConfig, type V1Status } from '@kubernetes/client-node';
import type Docker from 'docker-modem';
import { WebSocket } from 'ws';
import { createDockerCommands } from '../../gateway/src/exec/command-docker.ts';
import type { BoxCommands } from '../../gateway/src/exec/command-port.ts';
import { systemClock } from '#shared/clock.ts';
import { channel, ExecStatus, execPath } from '#shared/exec-protocol.ts';
import { createLogger } from '#shared/log.ts';

/** Two clients of a gateway that runs commands: Kubernetes' own, and a bare one. */
export const apiToken = 'the-token-of-the-api-of-the-tests';

export function commandsOn(connect: () => Promise<Docker>): BoxCommands {
  const log = createLogger({ name: 'commands', level: 'silent' });
  return createDockerCommands({ connect, clock: systemClock, log });
}

export interface Ran {
  readonly status: V1Status;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** By the `Exec` of the real client of Kubernetes. */
export async function kubernetesExec(
  port: number,
  user: string,
  command: string | string[],
  options: { stdin?: Buffer | Readable; token?: string } = {},
): Promise<Ran> {
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: 'box', server: `http://127.0.0.1:${port}`, skipTLSVerify: true }],
    users: [{ name: 'agent', token: options.token ?? apiToken }],
    contexts: [{ name: 'box', cluster: 'box', user: 'agent' }],
    currentContext: 'box',
  });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const input =
    options.stdin === undefined ? null : Buffer.isBuffer(options.stdin) ? inPieces(options.stdin) : options.stdin;
  const ended = Promise.all([collect(stdout), collect(stderr)]);
  const { promise, resolve, reject } = Promise.withResolvers<V1Status>();
  const exec = new Exec(config);
  const socket = await exec.exec('default', `spoon-box-${user}`, 'box', command, stdout, stderr, input, false, resolve);
  socket.onclose = (): void => reject(new Error('the socket was closed without a status'));
  const status = await promise;
  const [out, err] = await ended;
  return { status, stdout: out, stderr: err };
}

function inPieces(bytes: Buffer, pieceBytes = 60_000): Readable {
  function* pieces(): Generator<Buffer> {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  }
  return Readable.from(bytes.length === 0 ? [] : pieces(), { objectMode: false });
}

async function collect(stream: PassThrough): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export interface BareJob {
  readonly socket: WebSocket;
  out(): Buffer;
  err(): string;
  send(channelNumber: number, bytes?: string | Buffer): void;
  /** null: it closed without one */
  readonly status: Promise<ExecStatus | null>;
}

export interface BareOptions {
  readonly protocols?: string[];
  readonly bearer?: string | null;
  readonly headers?: Record<string, string>;
  readonly path?: string;
}

/** By hand: answers the refusal where there is no upgrade. */
export async function bareExec(
  port: number,
  query: readonly (readonly [string, string])[],
  options: BareOptions = {},
): Promise<BareJob | { status: number; code: string; detail: string }> {
  const url = new URL(`ws://127.0.0.1:${port}${options.path ?? execPath}`);
  for (const [name, value] of query) url.searchParams.append(name, value);
  const bearer = options.bearer === undefined ? apiToken : options.bearer;
  const headers = { ...options.headers, ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }) };
  const socket = new WebSocket(url, options.protocols ?? ['v5.channel.k8s.io'], { headers, perMessageDeflate: false });
  const output: { 1: Buffer[]; 2: Buffer[] } = { 1: [], 2: [] };
  let status: ExecStatus | null = null;
  socket.on('message', (data) => {
    if (!Buffer.isBuffer(data)) throw new Error('unexpected kind of data');
    if (status !== null) throw new Error('something came after the status');
    const body = data.subarray(1);
    if (data[0] === channel.stdout) output[1].push(body);
    else if (data[0] === channel.stderr) output[2].push(body);
    else if (data[0] === channel.status) status = ExecStatus.parse(JSON.parse(body.toString()));
    else throw new Error(`a message on channel ${data[0]}`);
  });
  socket.on('error', () => {});
  const closed = new Promise<ExecStatus | null>((resolve) => socket.once('close', () => resolve(status)));
  const refused = new Promise<{ status: number; code: string; detail: string }>((resolve) => {
    socket.once('unexpected-response', (_request, answer) => {
      let body = '';
      answer.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, ...JSON.parse(body) }));
    });
  });
  const opened = once(socket, 'open').then(() => null);
  const first = await Promise.race([refused, opened]);
  if (first !== null) return first;
  return {
    socket,
    out: () => Buffer.concat(output[1]),
    err: () => Buffer.concat(output[2]).toString(),
    send: (channelNumber, bytes = '') => socket.send(Buffer.concat([Buffer.of(channelNumber), Buffer.from(bytes)])),
    status: closed,
  };
}

/** As `bareExec`, for a test that counts on the upgrade. */
export async function bareJob(
  port: number,
  user: string,
  command: readonly string[],
  more: Record<string, string> = {},
  options: BareOptions = {},
): Promise<BareJob> {
  const query = [['user', user], ...command.map((word) => ['command', word]), ...Object.entries(more)];
  const job = await bareExec(
    port,
    query.map(([name = '', value = '']) => [name, value] as const),
    options,
  );
  if ('code' in job) throw new Error(`refused: ${JSON.stringify(job)}`);
  return job;
}
