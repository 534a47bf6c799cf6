import { WebSocket } from 'ws';
import type { LinkSocket } from '#shared/terminal-link.ts';
import { terminalLimits } from '#shared/terminal-protocol.ts';
import { refusalOf } from '../../sdk/gateway-refusal.ts';

/** A socket whose refusal (before it is a WebSocket) is heard: the standard one keeps the body from its user. */
export function openSocket(url: string, protocols: string[]): LinkSocket {
  const socket = new WebSocket(url, protocols, {
    perMessageDeflate: false,
    maxPayload: 2 * terminalLimits.maxFrameBytes,
  });
  socket.on('unexpected-response', (_request, answer) => {
    const tell = (error: unknown): void => {
      // Before the end, which follows: the first error is the one that counts.
      socket.emit('error', error);
      socket.terminate();
    };
    refusalOf(url, answer).then(tell, tell);
  });
  return socket;
}
