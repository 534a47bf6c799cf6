import { once } from 'node:events';
import { WebSocketServer, type WebSocket } from 'ws';
import { ClientMessage, type ServerMessage, terminalProtocol } from '#shared/terminal-protocol.ts';

/** What happens to a socket: it is cut once so many bytes of output were sent, or of input came, on it; null = never. */
export interface Cut {
  readonly afterSent: number | null;
  readonly afterReceived: number | null;
}

/** One session behind real sockets, and nothing else: the protocol at its simplest, and a network that breaks as it is told. */
export interface ModelGateway {
  readonly url: string;
  readonly sockets: () => number;
  /** all input, as the shell got it */
  readonly received: () => Buffer;
  close(): Promise<void>;
}

const frameBytes = 10_000;
const ackEveryBytes = 32 * 1024;
const highBytes = 256 * 1024;

/** `output`: all that the shell ever says; it then ends with 0 once it has all of `inputBytes`. */
export async function startModelGateway(
  output: Buffer,
  inputBytes: number,
  cuts: readonly Cut[],
): Promise<ModelGateway> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => terminalProtocol });
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  let input = Buffer.alloc(0);
  let sockets = 0;

  server.on('connection', (socket: WebSocket) => {
    const cut = cuts[sockets] ?? { afterSent: null, afterReceived: null };
    sockets += 1;
    const ticket = `ticket-${sockets}`;
    let next = -1;
    let sent = 0;
    let acked = 0;
    let came = 0;
    let confirmed = 0;
    const say = (message: ServerMessage): void => socket.send(JSON.stringify(message));
    const pump = (): void => {
      while (next >= 0 && next < output.length && sent - acked < highBytes && socket.readyState === socket.OPEN) {
        const room = cut.afterSent === null ? frameBytes : Math.min(frameBytes, cut.afterSent - sent);
        socket.send(output.subarray(next, next + room), { binary: true });
        sent += room;
        next += room;
        // What was written before is delivered, and nothing after it.
        if (sent === cut.afterSent) cutNow();
      }
      if (next < output.length || input.length < inputBytes || socket.readyState !== socket.OPEN) return;
      say({ type: 'exit', code: 0, reason: 'exited', message: 'the shell has ended' });
      socket.close(1000);
    };
    const cutNow = (): void => {
      next = -1;
      socket.send('', () => socket.terminate());
    };
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (socket.readyState !== socket.OPEN) return;
      if (isBinary) {
        const taken = cut.afterReceived === null ? data : data.subarray(0, cut.afterReceived - came);
        came += taken.length;
        input = Buffer.concat([input, taken]);
        if (came === cut.afterReceived) {
          cutNow();
          return;
        }
        if (input.length - confirmed >= ackEveryBytes || input.length === inputBytes) {
          confirmed = input.length;
          say({ type: 'received', bytes: confirmed });
        }
        pump();
        return;
      }
      const message = ClientMessage.parse(JSON.parse(data.toString()));
      if (message.type === 'ack') {
        acked += message.bytes;
        if (acked > sent) throw new Error('more is acknowledged than was sent');
        pump();
      } else if (message.type === 'hello') {
        next = message.offset ?? 0;
        confirmed = input.length;
        say({
          ...{
            type: 'hello',
            user: 'alice',
            mode: 'rw',
            session: 's1',
            containerId: 'c1',
            viewer: 'v1',
            cols: 80,
            rows: 24,
          },
          ...{ start: message.offset === undefined ? 'new' : 'exact', replayBytes: 0, offset: next, ticket },
          ...{ received: input.length, graceMs: 300_000, highBytes, lowBytes: 65_536, ackEveryBytes },
        });
        pump();
      }
    });
  });

  return {
    url: `ws://127.0.0.1:${address.port}/v1/terminal`,
    sockets: () => sockets,
    received: () => input,
    async close() {
      for (const socket of server.clients) socket.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}
