import type { Readable, Writable } from 'node:stream';
import { WebSocket } from 'ws';
import { channel, ExecStatus, execPath, execProtocols, exitCodeOf } from '#shared/exec-protocol.ts';
import { parseJson } from '#shared/json.ts';
import { terminalLimits, terminalPath, tokenProtocolPrefix } from '#shared/terminal-protocol.ts';
import { SpoonboxError } from '../../sdk/errors.ts';
import { exitCodes } from '../command.ts';
import { hint, printable } from '../output.ts';
import { refusalOf, unusable } from '../terminal/open-socket.ts';

const connectWithinMs = 10_000;
/** A close that the gateway does not answer is not waited for longer. */
const closeWithinMs = 1_000;
/** The gateway pings; one that is silent for so long is gone. */
const silentMs = 3 * terminalLimits.pingEveryMs;

export interface RemoteJob {
  readonly command: readonly string[];
  /** false: the command reads an empty input */
  readonly stdin: boolean;
  /** below the home; undefined = the home */
  readonly directory: string | undefined;
}

export interface JobStreams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/**
 * Runs one command in a box, and answers its exit code; 255 where it has none, with a line that says why. When `signal` is
 * aborted the connection is closed, so the gateway ends the command; then it rejects with the signal's reason.
 *
 * INVARIANTS
 * - A slow reader of the output here slows the command: the socket is not read while it has not taken what it was given.
 * - One piece of input is on its way at a time.
 */
export async function runRemoteJob(
  where: { readonly terminalUrl: string; readonly token: string },
  job: RemoteJob,
  streams: JobStreams,
  signal: AbortSignal,
): Promise<number> {
  const url = jobUrl(where.terminalUrl, job);
  signal.throwIfAborted();
  const socket = new WebSocket(url, [execProtocols[0], tokenProtocolPrefix + where.token], {
    perMessageDeflate: false,
    handshakeTimeout: connectWithinMs,
  });
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let status: ExecStatus | null = null;
  let notTaken = 0;

  function show(stream: Writable, bytes: Buffer): void {
    if (stream.write(bytes)) return;
    notTaken += 1;
    socket.pause();
    stream.once('drain', () => {
      notTaken -= 1;
      if (notTaken === 0) socket.resume();
    });
  }
  socket.on('message', (data) => {
    if (!Buffer.isBuffer(data)) return;
    const bytes = data.subarray(1);
    if (data[0] === channel.stdout) show(streams.stdout, bytes);
    else if (data[0] === channel.stderr) show(streams.stderr, bytes);
    else if (data[0] === channel.status) status = ExecStatus.safeParse(parseJson(bytes.toString())).data ?? null;
  });
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  const onAbort = (): void => end();
  signal.addEventListener('abort', onAbort, { once: true });
  const stopWatching = endWhenSilent(socket);
  try {
    await opened(socket, url, signal);
    if (job.stdin) void sendInput(socket, streams.stdin);
    const code = await Promise.race([closed, ended]);
    signal.throwIfAborted();
    if (status === null) {
      hint(`spoonbox: the connection to the gateway was lost (${code}), and the command is ended with it`);
      return exitCodes.terminalLost;
    }
    const exitCode = exitCodeOf(status);
    if (exitCode === null) hint(`spoonbox: ${printable(messageOf(status))}`);
    return exitCode ?? exitCodes.terminalLost;
  } finally {
    signal.removeEventListener('abort', onAbort);
    stopWatching();
    await close(socket, closed);
  }
}

function jobUrl(terminalUrl: string, { command, stdin, directory }: RemoteJob): string {
  const url = new URL(terminalUrl);
  url.pathname = url.pathname.slice(0, url.pathname.lastIndexOf(terminalPath)) + execPath;
  for (const word of command) url.searchParams.append('command', word);
  url.searchParams.set('stdin', String(stdin));
  if (directory !== undefined) url.searchParams.set('directory', directory);
  return url.href;
}

function opened(socket: WebSocket, url: string, signal: AbortSignal): Promise<void> {
  // Words of the command may be secrets.
  const place = url.split('?')[0] ?? url;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('open', () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    socket.once('unexpected-response', (_request, answer) => {
      const tell = (error: unknown): void => {
        reject(error instanceof SpoonboxError ? error : unusable(place, error));
        socket.terminate();
      };
      refusalOf(place, answer).then(tell, tell);
    });
    // Also the listener that keeps a later error from ending the process: a close always follows.
    socket.on('error', (error) => reject(unusable(place, error)));
  });
}

/** Until its end, which the command is told. What cannot be sent any more is of no use: the command has ended. */
async function sendInput(socket: WebSocket, stdin: Readable): Promise<void> {
  try {
    for await (const chunk of stdin) await send(socket, channel.stdin, Buffer.from(chunk));
  } catch (error) {
    hint(`spoonbox: the input cannot be read on: ${error instanceof Error ? error.message : String(error)}`);
  }
  await send(socket, channel.close, Buffer.of(channel.stdin));
}

function send(socket: WebSocket, to: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(Buffer.concat([Buffer.of(to), bytes]), () => resolve());
    else resolve();
  });
}

/** Networks that are lost tell nobody. */
function endWhenSilent(socket: WebSocket): () => void {
  let heard = true;
  const hear = (): void => {
    heard = true;
  };
  socket.on('ping', hear).on('message', hear);
  const timer = setInterval(() => {
    if (!heard && !socket.isPaused) socket.terminate();
    heard = socket.isPaused;
  }, silentMs);
  return () => clearInterval(timer);
}

async function close(socket: WebSocket, closed: Promise<number>): Promise<void> {
  if (socket.isPaused) socket.resume();
  socket.close(1000);
  const timer = setTimeout(() => socket.terminate(), closeWithinMs);
  await closed;
  clearTimeout(timer);
}

function messageOf({ message, reason }: ExecStatus): string {
  return message === '' ? `the command ended without an exit code (${reason})` : message;
}
