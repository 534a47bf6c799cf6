import { once } from 'node:events';
import { WebSocketServer, type WebSocket } from 'ws';
import { ClientMessage, type ServerMessage, terminalProtocol, tokenProtocolPrefix } from '#shared/terminal-protocol.ts';
import { verifyTerminalToken } from '#shared/terminal-token.ts';

/** The gateway's side of one terminal, played by a test. */
export interface FakeTerminal {
  readonly messages: ClientMessage[];
  /** what was typed so far */
  typed(): string;
  readonly user: string;
  readonly mode: string;
  readonly session: string;
  say(message: ServerMessage): void;
  hello(containerId?: string): void;
  output(bytes: Buffer | string): void;
  exit(code: number): void;
  close(code: number): void;
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

  server.on('connection', (socket, request) => {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((entry) => entry.trim());
    const token =
      offered.find((entry) => entry.startsWith(tokenProtocolPrefix))?.slice(tokenProtocolPrefix.length) ?? '';
    // The client says hello at once: nothing may be missed while its token is looked at.
    socket.pause();
    void verifyTerminalToken(secret, token).then((verified) => {
      socket.resume();
      if (!verified.ok) {
        socket.close(4401, verified.message);
        return;
      }
      serve(socket, verified.claims, (terminal) => {
        const waiter = waiting.shift();
        if (waiter) waiter(terminal);
        else arrived.push(terminal);
      });
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

function serve(
  socket: WebSocket,
  claims: { user: string; mode: 'rw' | 'ro'; session: string },
  ready: (terminal: FakeTerminal) => void,
): void {
  const messages: ClientMessage[] = [];
  let typed = '';
  const say = (message: ServerMessage): void => socket.send(JSON.stringify(message));
  const terminal: FakeTerminal = {
    ...claims,
    messages,
    typed: () => typed,
    say,
    hello(containerId = 'c1') {
      const { user, mode, session } = claims;
      say({
        type: 'hello',
        user,
        mode,
        session,
        containerId,
        highBytes: 262_144,
        lowBytes: 65_536,
        ackEveryBytes: 32_768,
      });
    },
    output: (bytes) => socket.send(Buffer.from(bytes), { binary: true }),
    exit(code) {
      say({ type: 'exit', code, reason: 'exited', message: 'the shell has ended' });
      socket.close(1000);
    },
    close: (code) => socket.close(code),
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
  };
  const onMessage = (data: Buffer, isBinary: boolean): void => {
    if (isBinary) {
      typed += data.toString();
      return;
    }
    const message = ClientMessage.parse(JSON.parse(data.toString()));
    messages.push(message);
    if (message.type === 'hello') ready(terminal);
  };
  socket.on('message', onMessage);
}
