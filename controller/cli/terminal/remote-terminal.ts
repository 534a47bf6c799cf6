import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import {
  type ClientMessage,
  closeNameOf,
  closeTable,
  ServerMessage,
  terminalLimits,
  terminalProtocol,
  tokenProtocolPrefix,
} from '#shared/terminal-protocol.ts';
import { Problem } from '#shared/problem.ts';
import { ApiRefusal } from '../client.ts';
import { CliError, exitCodes } from '../command.ts';

const connectWithinMs = 10_000;
/** A close that the gateway does not answer is not waited for longer. */
const closeWithinMs = 1_000;
const maxRefusalChars = 16_384;

export interface RemoteEvents {
  bytes(bytes: Buffer): void;
  message(message: ServerMessage): void;
  /** the socket has ended; `text` is for people */
  closed(text: string): void;
}

export interface RemoteTerminal {
  send(message: ClientMessage): void;
  /** Bytes of the terminal; resolves once they have left this process, so that a reader can wait. */
  type(bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** One socket to the gateway, speaking `spoonbox.v1`. What comes is checked; there are no decisions here. */
export async function openRemoteTerminal(
  url: string,
  token: string,
  events: RemoteEvents,
  signal: AbortSignal,
): Promise<RemoteTerminal> {
  const socket = new WebSocket(url, [terminalProtocol, tokenProtocolPrefix + token], {
    perMessageDeflate: false,
    handshakeTimeout: connectWithinMs,
    maxPayload: 2 * terminalLimits.maxFrameBytes,
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));

  socket.on('message', (data, isBinary) => {
    const bytes = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
    if (isBinary) {
      events.bytes(bytes);
      return;
    }
    const parsed = ServerMessage.safeParse(parseJson(bytes.toString('utf8')));
    // A newer gateway may say more than this client knows; none of it is needed to go on.
    if (parsed.success) events.message(parsed.data);
  });
  socket.on('close', (code, reason) => events.closed(closeText(code, reason.toString('utf8'))));

  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      socket.terminate();
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('open', () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    socket.once('unexpected-response', (_request, answer) => {
      refusalOf(url, answer).then(reject, (error: unknown) => reject(refused(url, error)));
    });
    // Also the listener that keeps a later error from ending the process: a close always follows.
    socket.on('error', (error) => reject(signal.aborted ? signal.reason : refused(url, error)));
  });

  return {
    send(message) {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
    },
    async type(bytes) {
      if (socket.readyState !== WebSocket.OPEN) return;
      await new Promise<void>((resolve) => socket.send(bytes, { binary: true }, () => resolve()));
    },
    async close() {
      socket.close(1000);
      const timer = setTimeout(() => socket.terminate(), closeWithinMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

function closeText(code: number, reason: string): string {
  const name = closeNameOf(code);
  if (reason !== '') return reason;
  return name ? closeTable[name].text : `the connection to the gateway was lost (${code})`;
}

/** A refusal before there is a socket: the gateway says in the body why. */
async function refusalOf(url: string, answer: IncomingMessage): Promise<CliError> {
  let body = '';
  for await (const chunk of answer) {
    body += String(chunk);
    if (body.length > maxRefusalChars) break;
  }
  const problem = Problem.safeParse(parseJson(body));
  if (problem.success) return new ApiRefusal(problem.data);
  return refused(url, new Error(`it answered HTTP ${answer.statusCode}`));
}

function refused(url: string, error: unknown): CliError {
  const message = error instanceof Error ? error.message : String(error);
  const why = error instanceof Error && 'code' in error && message === '' ? String(error.code) : message;
  return new CliError(
    `the terminal gateway at ${url} cannot be used (${why}): is it running, and reached from here?`,
    exitCodes.unreachable,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
