import { connect } from 'node:net';

export interface RawAnswer {
  /** 0: the connection was closed without an answer */
  readonly status: number;
  /** everything that came, as it came */
  readonly text: string;
  /** the `message` of the JSON body, as the engine's errors have it; null where there is none */
  readonly message: string | null;
}

/** Writes these bytes to a unix socket, piece by piece, and answers what comes until the other side closes or is silent. */
export function rawRequest(
  path: string,
  pieces: string | readonly (string | Buffer)[],
  silentMs = 1_500,
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let text = '';
    let timer: NodeJS.Timeout;
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
      resolve({ status, text, message: messageIn(text) });
    };
    const listen = (): void => {
      clearTimeout(timer);
      timer = setTimeout(done, silentMs);
    };
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      listen();
    });
    socket.on('error', () => {});
    socket.once('close', done);
    listen();
    for (const piece of typeof pieces === 'string' ? [pieces] : pieces) socket.write(piece);
  });
}

/** A request as a well-behaved client writes it, but for what `more` says. */
export function requestText(
  method: string,
  target: string,
  { body, headers = {} }: { body?: unknown; headers?: Readonly<Record<string, string>> } = {},
): string {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const length = { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) };
  const all = { Host: 'docker', Connection: 'close', ...(body === undefined ? {} : length), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${text}`;
}

function messageIn(text: string): string | null {
  try {
    const parsed: unknown = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4));
    return typeof parsed === 'object' && parsed !== null && 'message' in parsed ? String(parsed.message) : null;
  } catch {
    return null;
  }
}
