import type { Readable } from 'node:stream';
import { WebSocket } from 'ws';
import type { Checkout } from '#shared/checkout.ts';
import { channel, ExecStatus, execProtocols, exitCodeOf } from '#shared/exec-protocol.ts';
import { parseJson } from '#shared/json.ts';
import { terminalLimits } from '#shared/terminal-protocol.ts';
import { CommandLost, SpoonboxError } from './errors.ts';
import { refusalOf, tooManyWords, unusable } from './gateway-refusal.ts';
import { sendInput } from './send-input.ts';
import { type OutputStreams, writeOutput } from './write-output.ts';

const connectWithinMs = 10_000;
/** A gateway takes a request whose head has up to 128 KiB, and cuts a longer one off without a word. */
const maxUrlChars = 127 * 1024;
/** A close that the gateway does not answer is not waited for longer. */
const closeWithinMs = 1_000;
/** The gateway pings; one that is silent for so long is gone. */
const silentMs = 3 * terminalLimits.pingEveryMs;

export interface RemoteCommand {
  readonly user: string;
  readonly command: readonly string[];
  /** below the checkout, or else below the home; null = there itself */
  readonly directory: string | null;
  /** made first, and begun in */
  readonly checkout: Checkout | null;
  /** the lease in whose checkout it begins otherwise */
  readonly lease: string | null;
}

export interface CommandStreams extends OutputStreams {
  /** null: the command reads an empty input */
  readonly stdin: Readable | null;
}

/**
 * Runs one command in a box, and answers its exit code; throws a CommandLost where it has none. When `signal` is aborted the
 * connection is closed, so the gateway ends the command; then it rejects with the signal's reason. The streams are not ended.
 *
 * INVARIANTS
 * - A slow reader of the output here slows the command: the socket is not read while it has not taken what it was given.
 * - Afterwards nothing of this is left on the streams.
 */
export async function runRemoteCommand(
  where: { readonly execUrl: string; readonly token: string },
  what: RemoteCommand,
  streams: CommandStreams,
  signal: AbortSignal,
): Promise<number> {
  const url = urlOf(where.execUrl, what, streams.stdin !== null);
  signal.throwIfAborted();
  if (url.length > maxUrlChars) throw tooManyWords(where.execUrl);
  const socket = new WebSocket(url, [execProtocols[0]], {
    headers: { authorization: `Bearer ${where.token}` },
    perMessageDeflate: false,
    handshakeTimeout: connectWithinMs,
  });
  let status: ExecStatus | null = null;
  const over = new AbortController();
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  const failed = new Promise<never>((_resolve, reject) => {
    const stop = AbortSignal.any([signal, over.signal]);
    stop.addEventListener('abort', () => reject(stop.reason), { once: true });
  });
  failed.catch(() => {}); // it is raced below
  const fail = (error: unknown): void => over.abort(error);
  const output = writeOutput(socket, streams, fail);
  socket.on('message', (data) => {
    if (!Buffer.isBuffer(data)) return;
    const bytes = data.subarray(1);
    if (data[0] === channel.stdout) output.stdout(bytes);
    else if (data[0] === channel.stderr) output.stderr(bytes);
    else if (data[0] === channel.status) status = ExecStatus.safeParse(parseJson(bytes.toString())).data ?? null;
  });
  const stopWatching = endWhenSilent(socket);
  let stopInput: () => void = () => {};
  try {
    await Promise.race([opened(socket, url), failed]);
    if (streams.stdin !== null) stopInput = sendInput(socket, streams.stdin, fail);
    const code = await Promise.race([closed, failed]);
    if (status === null) {
      const why = `the connection to the gateway was lost (${code}), and the command is ended with it`;
      throw new CommandLost(why, 'ConnectionLost');
    }
    const exitCode = exitCodeOf(status);
    if (exitCode === null) throw lostBy(status);
    return exitCode;
  } finally {
    stopWatching();
    stopInput();
    output.stop();
    await close(socket, closed);
  }
}

function urlOf(execUrl: string, what: RemoteCommand, stdin: boolean): string {
  const { user, command, directory, checkout, lease } = what;
  const url = new URL(execUrl);
  url.searchParams.set('user', user);
  for (const word of command) url.searchParams.append('command', word);
  url.searchParams.set('stdin', String(stdin));
  const clone = checkout?.clone;
  const where = { directory, lease, spoon: checkout?.spoon, branch: checkout?.branch, clone: clone?.url };
  const all = { ...where, ref: clone?.ref, depth: clone?.depth, credential: clone?.credential };
  for (const [name, value] of Object.entries(all)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, String(value));
  }
  return url.href;
}

function opened(socket: WebSocket, url: string): Promise<void> {
  // Words of the command may be secrets.
  const place = url.split('?')[0] ?? url;
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve());
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

function lostBy({ message, reason }: ExecStatus): CommandLost {
  return new CommandLost(message === '' ? `the command ended without an exit code (${reason})` : message, reason);
}
