import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { closeTable, terminalProtocol } from '#shared/terminal-protocol.ts';
import { shortened } from './close-reason.ts';
import type { Dialect } from './dialect.ts';
import type { Ending } from './ending.ts';
import { refuse } from './refusal.ts';
import { upgrade } from './upgrade.ts';

/** Whoever is refused has nothing to say but the `hello` that is under way, and its token; what is larger closes. */
const maxPayload = 5 * 1024;
/** for the client's answer to the close */
const closeTimeout = 1_000;

/** By a name of its own: the types of ws do not know `closeTimeout` yet. */
const options = {
  noServer: true,
  perMessageDeflate: false,
  clientTracking: true, // they are counted
  maxPayload,
  closeTimeout,
  handleProtocols: (offered: Set<string>) => (offered.has(terminalProtocol) ? terminalProtocol : false),
} as const;

/**
 * Refusals that a browser must tell apart from others, and so are told by the close code of a WebSocket. It costs nobody a token
 * to be refused, so these sockets have next to no memory and time, and are bounded: what is above is told by plain HTTP.
 */
export class ToldRefusals {
  readonly #atOnce: number;
  readonly #server = new WebSocketServer(options);

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  get count(): number {
    return this.#server.clients.size;
  }

  async tell(request: IncomingMessage, socket: Duplex, head: Buffer, ending: Ending, dialect: Dialect): Promise<void> {
    const { close, errorCode, message, address } = ending;
    if (this.count >= this.#atOnce) {
      refuse(socket, { code: errorCode, detail: message });
      return;
    }
    await upgrade(this.#server, request, socket, head, (ws) => {
      ws.on('error', () => {}); // a `close` follows
      const told = dialect.write({
        type: 'error',
        code: errorCode,
        message,
        ...(address === undefined ? {} : { address }),
      });
      if (told !== null) ws.send(told);
      ws.close(closeTable[close].code, shortened(message));
    });
  }

  /** Cuts those that have not answered yet. */
  cut(): void {
    for (const ws of this.#server.clients) ws.terminate();
  }
}
