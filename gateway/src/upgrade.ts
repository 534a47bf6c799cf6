import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';

/**
 * Makes a WebSocket of a request, and a client of it by `make`, which is called at once: frames may have come with the handshake,
 * and an error that nobody hears would end the process. null: it was no WebSocket handshake, and ws has answered so; or the
 * client has gone.
 */
export function upgrade<Client>(
  server: WebSocketServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  make: (ws: WebSocket) => Client,
): Promise<Client | null> {
  return new Promise((resolve) => {
    if (socket.destroyed) {
      resolve(null);
      return;
    }
    const failed = (): void => resolve(null);
    socket.once('close', failed);
    server.handleUpgrade(request, socket, head, (ws) => {
      socket.off('close', failed);
      resolve(make(ws));
    });
  });
}
