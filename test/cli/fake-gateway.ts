import { once } from 'node:events';
import { WebSocketServer, type WebSocket } from 'ws';
import { ClientMessage, type ServerMessage, terminalProtocol, tokenProtocolPrefix } from '#shared/terminal-protocol.ts';
import { verifyTerminalToken } from '#shared/terminal-token.ts';

type Hello = Extract<ServerMessage, { type: 'hello' }>;
interface Claims {
  readonly user: string;
  readonly mode: 'rw' | 'ro';
  readonly session: string;
  readonly directory?: string | undefined;
  readonly spoon?: string | undefined;
  readonly branch?: string | undefined;
  readonly clone?: object | undefined;
}

/** The gateway's side of one terminal, played by a test. */
export interface FakeTerminal {
  readonly messages: ClientMessage[];
  /** what was typed so far */
  typed(): string;
  readonly user: string;
  readonly mode: string;
  readonly session: string;
  /** all that its token says */
  readonly claims: Claims;
  say(message: ServerMessage): void;
  /** A new shell, but for what `more` says. */
  hello(containerId?: string, more?: Partial<Hello>): void;
  /** confirms all that was typed so far */
  received(): void;
  output(bytes: Buffer | string): void;
  exit(code: number): void;
  close(code: number): void;
  /** Cuts the connection, as a network does. */
  cut(): void;
  readonly closed: Promise<void>;
}

export interface FakeGateway {
  readonly port: number;
  /** the next terminal that says hello */
  next(): Promise<FakeTerminal>;
  close(): Promise<void>;
}

export async function startFakeGateway(secret: string): Promise<FakeGateway> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (offered) => (offered.has(terminalProtocol) ? terminalProtocol : false),
  });
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the fake gateway has no port');
  const arrived: FakeTerminal[] = [];
  const waiting: ((terminal: FakeTerminal) => void)[] = [];
  const tickets = new Map<string, Claims>();
  const ready = (terminal: FakeTerminal): void => {
    const waiter = waiting.shift();
    if (waiter) waiter(terminal);
    else arrived.push(terminal);
  };

  server.on('connection', (socket, request) => {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((entry) => entry.trim());
    const token = offered.find((entry) => entry.startsWith(tokenProtocolPrefix))?.slice(tokenProtocolPrefix.length);
    if (token === undefined) {
      serve(socket, null, tickets, ready);
      return;
    }
    // The client says hello at once: nothing may be missed while its token is looked at.
    socket.pause();
    void verifyTerminalToken(secret, token).then((verified) => {
      socket.resume();
      if (verified.ok) serve(socket, verified.claims, tickets, ready);
      else socket.close(4401, verified.message);
    });
  });

  return {
    port: address.port,
    next() {
      const terminal = arrived.shift();
      return terminal ? Promise.resolve(terminal) : new Promise((resolve) => waiting.push(resolve));
    },
    async close() {
      for (const socket of server.clients) socket.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

/** `byToken` null: the hello shows a ticket. */
function serve(
  socket: WebSocket,
  byToken: Claims | null,
  tickets: Map<string, Claims>,
  ready: (terminal: FakeTerminal) => void,
): void {
  const messages: ClientMessage[] = [];
  let typed = '';
  let typedBytes = 0;
  const say = (message: ServerMessage): void => socket.send(JSON.stringify(message));
  const terminalOf = (claims: Claims): FakeTerminal => ({
    user: claims.user,
    mode: claims.mode,
    session: claims.session,
    claims,
    messages,
    typed: () => typed,
    say,
    hello(containerId = 'c1', more = {}) {
      const ticket = `ticket-${tickets.size}`;
      tickets.set(ticket, claims);
      const { user, mode, session } = claims;
      say({
        ...{ type: 'hello', user, mode, session, containerId, viewer: 'v1', start: 'new', replayBytes: 0, offset: 0 },
        ...{ received: 0, ticket, graceMs: 300_000, cols: 80, rows: 24 },
        ...{ highBytes: 262_144, lowBytes: 65_536, ackEveryBytes: 32_768 },
        ...more,
      });
    },
    received: () => say({ type: 'received', bytes: typedBytes }),
    output: (bytes) => socket.send(Buffer.from(bytes), { binary: true }),
    exit(code) {
      say({ type: 'exit', code, reason: 'exited', message: 'the shell has ended' });
      socket.close(1000);
    },
    close: (code) => socket.close(code),
    cut: () => socket.terminate(),
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
  });
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary) {
      typed += data.toString();
      typedBytes += data.length;
      return;
    }
    const message = ClientMessage.parse(JSON.parse(data.toString()));
    messages.push(message);
    if (message.type !== 'hello') return;
    const claims = byToken ?? tickets.get(message.ticket ?? '');
    if (claims) {
      ready(terminalOf(claims));
      return;
    }
    say({ type: 'error', code: 'ticket-refused', message: 'the ticket is unknown' });
    socket.close(4401);
  });
}
