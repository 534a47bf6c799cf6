import { once } from 'node:events';
import { StringDecoder } from 'node:string_decoder';
import { WebSocket } from 'ws';
import { patienceMs } from '../support/patience.ts';
import { ServerMessage, terminalProtocol } from '#shared/terminal-protocol.ts';

export interface ConnectOptions {
  readonly port: number;
  readonly token?: string;
  readonly raw?: boolean;
  /** how the token goes: default as subprotocol, raw always as query */
  readonly tokenBy?: 'protocol' | 'hello' | 'query';
  readonly size?: { cols: number; rows: number };
  /** false: only in its hello, so that its shell has to wait for that */
  readonly saysSize?: boolean;
  readonly acks?: boolean;
  readonly origin?: string;
  readonly traceparent?: string;
  /** of an earlier hello */
  readonly ticket?: string;
  readonly offset?: number;
  /** false: no hello is sent */
  readonly hello?: boolean;
  readonly path?: string;
  /** PEM: the connection is a TLS one, to `localhost`, whose certificate is this or is signed by it */
  readonly ca?: string;
}

export interface TestClient {
  readonly socket: WebSocket;
  readonly messages: ServerMessage[];
  /** all output so far, as it came */
  output(): Buffer;
  text(): string;
  type(text: string | Buffer): void;
  tell(message: unknown): void;
  closed: Promise<{ code: number; reason: string }>;
  /** Resolves with the message, once there is one of this type (after the first `skip`). */
  message<Type extends ServerMessage['type']>(
    type: Type,
    skip?: number,
  ): Promise<Extract<ServerMessage, { type: Type }>>;
  /** Waits until the shell answers: `hello` tells that the engine has begun it, and it may not run yet. */
  answers(): Promise<void>;
  /** Waits until the output contains this. */
  sees(text: string | RegExp, withinMs?: number): Promise<void>;
}

/** A terminal client of the tests; answers the HTTP refusal where there is no upgrade. */
export async function connect(options: ConnectOptions): Promise<TestClient | { status: number; body: string }> {
  const { token } = options;
  const by = options.raw ? 'query' : (options.tokenBy ?? 'protocol');
  const size = options.size ?? { cols: 80, rows: 24 };
  const { ca } = options;
  const host = ca === undefined ? 'ws://127.0.0.1' : 'wss://localhost';
  const url = new URL(`${host}:${options.port}${options.path ?? '/v1/terminal'}`);
  if (by === 'query' && token !== undefined) url.searchParams.set('token', token);
  // As our own clients do.
  if (by !== 'hello' && options.saysSize !== false) {
    url.searchParams.set('cols', String(size.cols));
    url.searchParams.set('rows', String(size.rows));
  }
  const protocols = options.raw ? [] : [terminalProtocol];
  if (by === 'protocol' && token !== undefined) protocols.push(`token.${token}`);
  const headers = {
    ...(options.origin === undefined ? {} : { origin: options.origin }),
    ...(options.traceparent === undefined ? {} : { traceparent: options.traceparent }),
  };
  const socket = new WebSocket(url, protocols, { headers, perMessageDeflate: false, ca });

  const chunks: Buffer[] = [];
  const messages: ServerMessage[] = [];
  let wake: (() => void)[] = [];
  const changed = (): void => {
    for (const run of wake) run();
    wake = [];
  };
  socket.on('message', (data, isBinary) => {
    if (!Buffer.isBuffer(data)) throw new Error('unexpected kind of data');
    if (isBinary) {
      chunks.push(data);
      if (options.acks !== false && !options.raw) socket.send(JSON.stringify({ type: 'ack', bytes: data.length }));
    } else {
      messages.push(ServerMessage.parse(JSON.parse(data.toString())));
    }
    changed();
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => {
      resolve({ code, reason: reason.toString() });
      changed();
    });
  });
  socket.on('error', () => {});
  const refused = new Promise<{ status: number; body: string }>((resolve) => {
    socket.on('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
  });
  const first = await Promise.race([refused, once(socket, 'open')]);
  if ('status' in first) return first;
  if (!options.raw && options.hello !== false) {
    const helloToken = by === 'hello' ? { token } : {};
    const { ticket, offset } = options;
    socket.send(JSON.stringify({ type: 'hello', ...size, ...helloToken, ticket, offset }));
  }

  async function until<Found>(what: string, find: () => Found | undefined, withinMs = patienceMs): Promise<Found> {
    const giveUpAt = performance.now() + withinMs;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      const leftMs = giveUpAt - performance.now();
      if (leftMs <= 0 || socket.readyState === WebSocket.CLOSED) {
        const state = socket.readyState === WebSocket.CLOSED ? 'the socket is closed' : `within ${withinMs} ms`;
        const seen = `${JSON.stringify(messages)} ${JSON.stringify(Buffer.concat(chunks).toString().slice(-2_000))}`;
        throw new Error(`no ${what} (${state}); seen: ${seen}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  const type = (text: string | Buffer): void => socket.send(Buffer.from(text), { binary: true });
  async function sees(text: string | RegExp, withinMs?: number): Promise<void> {
    const decoder = new StringDecoder('utf8');
    let looked = 0;
    let all = '';
    const find = (): true | undefined => {
      for (const chunk of chunks.slice(looked)) all += decoder.write(chunk);
      looked = chunks.length;
      if (typeof text !== 'string') return text.test(all) || undefined;
      const isThere = all.includes(text);
      // To look at megabytes anew with each piece takes longer than they took to come.
      all = all.slice(-text.length);
      return isThere || undefined;
    };
    await until(`output ${text}`, find, withinMs);
  }
  return {
    socket,
    messages,
    closed,
    output: () => Buffer.concat(chunks),
    text: () => Buffer.concat(chunks).toString(),
    type,
    sees,
    async answers() {
      type('echo up=$((1+1))\n');
      await sees('up=2');
    },
    tell: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    message: <Type extends ServerMessage['type']>(type: Type, skip = 0) => {
      const is = (message: ServerMessage): message is Extract<ServerMessage, { type: Type }> => message.type === type;
      return until(`message ${type}`, () => messages.filter(is)[skip]);
    },
  };
}

/** As `connect`, for a test that counts on the upgrade. */
export async function open(options: ConnectOptions): Promise<TestClient> {
  const client = await connect(options);
  if ('status' in client) throw new Error(`refused with ${client.status}: ${client.body}`);
  return client;
}

export async function refusal(options: ConnectOptions): Promise<{ status: number; code: string }> {
  const client = await connect(options);
  if (!('status' in client)) throw new Error('the socket was let in');
  return { status: client.status, code: String(JSON.parse(client.body).code) };
}
