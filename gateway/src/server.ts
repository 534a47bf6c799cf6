import { createServer, type IncomingMessage, type Server, STATUS_CODES, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { sleep } from '#shared/clock.ts';
import { type Problem, problemMediaType } from '#shared/problem.ts';
import {
  closeTable,
  type CloseName,
  isCloseName,
  refusalTable,
  type TerminalErrorCode,
  terminalLimits,
  terminalPath,
  terminalProtocol,
} from '#shared/terminal-protocol.ts';
import type { TerminalClaims } from '#shared/terminal-token.ts';
import { type Admission, type Refusal, readTerminalRequest, refusedOrigin, type TerminalRequest } from './admission.ts';
import { TerminalClient } from './client.ts';
import { protocolDialect, rawDialect } from './dialect.ts';
import { ClientGone, Ending } from './ending.ts';
import { runSession, type SessionDeps } from './session.ts';
import type { SessionPlace, Sessions } from './sessions.ts';

export interface ServerDeps extends SessionDeps {
  readonly sessions: Sessions;
  readonly admission: Admission;
  readonly allowedOrigins: readonly string[];
  /** what keeps this gateway from serving, in words; empty = ready */
  readonly notReady: () => Promise<string[]>;
}

export interface GatewayServer {
  readonly http: Server;
  /** Refuses new terminals from now on. */
  refuseNew(): void;
  /** Cuts what is still connected, and stops listening. */
  close(): Promise<void>;
}

/** A browser cannot see why an upgrade was refused; these it must tell apart, to try again, so they are told by a close code. */
const toldByCloseCode: ReadonlySet<CloseName> = new Set(['try-later', 'restarting', 'too-many-sessions']);

const never = new AbortController().signal;

export function createGatewayServer(deps: ServerDeps): GatewayServer {
  const { log, limits } = deps;
  let draining = false;
  let handshakes = 0;
  const sockets = new Set<WebSocket>();
  const common = {
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    // Only the protocol's own name is answered, never the entry with the token.
    handleProtocols: (offered: Set<string>) => (offered.has(terminalProtocol) ? terminalProtocol : false),
  } as const;
  const servers = {
    'spoonbox.v1': new WebSocketServer({ ...common, maxPayload: terminalLimits.maxFrameBytes }),
    raw: new WebSocketServer({ ...common, maxPayload: limits.maxRawFrameBytes }),
  };
  const http = createServer({
    headersTimeout: limits.helloWithinMs,
    requestTimeout: limits.helloWithinMs,
    // Node looks for late ones every 30 s otherwise.
    connectionsCheckingInterval: limits.helloWithinMs,
  });
  http.on('request', (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.error({ error }, 'a request failed');
      response.destroy();
    });
  });
  http.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    open(request, socket, head).catch((error: unknown) => {
      log.error({ error }, 'a terminal could not be opened');
      socket.destroy();
    });
  });

  async function open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const asked = readTerminalRequest(request);
    if ('code' in asked) {
      refuse(socket, asked);
      return;
    }
    const badOrigin = refusedOrigin(request, deps.allowedOrigins);
    if (badOrigin !== null) {
      refuse(socket, badOrigin);
      return;
    }
    let admitted: Admitted | Ending | null = draining ? new Ending('restarting') : null;
    if (admitted === null && asked.token !== null) {
      admitted = await deps.admission.admit(asked.token).catch((error: unknown) => {
        if (error instanceof Ending) return error;
        throw error;
      });
    }
    if (admitted === null && handshakes >= limits.handshakesAtOnce) admitted = new Ending('try-later');
    if (admitted instanceof Ending && !toldByCloseCode.has(admitted.close)) {
      refuse(socket, { code: admitted.errorCode, detail: admitted.message });
      return;
    }
    const client = await upgrade(request, socket, head, asked);
    if (client === null) {
      if (admitted !== null && !(admitted instanceof Ending)) await admitted.place.leave('');
      return;
    }
    await serve(client, asked, admitted);
  }

  /** null: it was no WebSocket handshake, and ws has answered so; or the client has gone. */
  function upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    { protocol, size }: TerminalRequest,
  ): Promise<TerminalClient | null> {
    return new Promise((resolve) => {
      if (socket.destroyed) {
        resolve(null);
        return;
      }
      const failed = (): void => resolve(null);
      socket.once('close', failed);
      servers[protocol].handleUpgrade(request, socket, head, (ws) => {
        socket.off('close', failed);
        sockets.add(ws);
        ws.once('close', () => sockets.delete(ws));
        // At once: frames may have come with the handshake, and an error that nobody hears would end the process.
        resolve(new TerminalClient(ws, protocol === 'raw' ? rawDialect() : protocolDialect, size, deps));
      });
    });
  }

  async function serve(
    client: TerminalClient,
    asked: TerminalRequest,
    admitted: Admitted | Ending | null,
  ): Promise<void> {
    handshakes += 1;
    let place: Admitted | null = null;
    try {
      if (admitted instanceof Ending) throw admitted;
      place = admitted;
      const hello = asked.protocol === 'raw' ? null : await client.hello();
      if (place === null) {
        if (hello?.token === undefined) {
          throw new Ending('token-refused', { errorCode: 'token-missing', message: 'hello must carry a token here' });
        }
        place = await deps.admission.admit(hello.token);
      }
    } catch (error) {
      await place?.place.leave('');
      if (error instanceof ClientGone) return;
      const ending = error instanceof Ending ? error : new Ending('internal');
      if (!(error instanceof Ending)) log.error({ error }, 'a terminal could not be opened');
      client.tell({ type: 'error', code: ending.errorCode, message: ending.message });
      client.close(ending.close, ending.message);
      return;
    } finally {
      handshakes -= 1;
    }
    await runSession(deps, place.claims, client, place.place);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = URL.parse(request.url ?? '', 'http://gateway')?.pathname;
    if (path === '/healthz') {
      send(response, 200, 'text/plain', 'ok\n');
    } else if (path === '/readyz') {
      const reasons = draining ? ['the gateway restarts'] : await deps.notReady();
      send(
        response,
        reasons.length === 0 ? 200 : 503,
        'application/json',
        `${JSON.stringify({ ready: reasons.length === 0, reasons })}\n`,
      );
    } else if (path === '/metrics') {
      send(response, 200, 'text/plain; version=0.0.4', metricsText());
    } else {
      const code = path === terminalPath ? 'upgrade-required' : 'route-unknown';
      const problem = problemOf({ code, detail: `terminals are WebSockets, at ${terminalPath}` });
      send(response, problem.status, problemMediaType, JSON.stringify(problem));
    }
  }

  function metricsText(): string {
    return [
      '# HELP spoonbox_gateway_sessions Terminals that are open.',
      '# TYPE spoonbox_gateway_sessions gauge',
      `spoonbox_gateway_sessions ${deps.sessions.count}`,
      '# HELP spoonbox_gateway_sessions_opened_total Terminals that were let in.',
      '# TYPE spoonbox_gateway_sessions_opened_total counter',
      `spoonbox_gateway_sessions_opened_total ${deps.sessions.opened}`,
      '# HELP spoonbox_gateway_sockets WebSockets that are connected.',
      '# TYPE spoonbox_gateway_sockets gauge',
      `spoonbox_gateway_sockets ${sockets.size}`,
      '',
    ].join('\n');
  }

  return {
    http,
    refuseNew() {
      draining = true;
    },
    async close() {
      // Those that were told goodbye have a moment to hear it.
      const giveUpAt = deps.clock.monotonicMs() + limits.goodbyeWithinMs;
      while (sockets.size > 0 && deps.clock.monotonicMs() < giveUpAt) await sleep(deps.clock, 20, never);
      for (const ws of sockets) ws.terminate();
      await new Promise((resolve) => {
        http.close(resolve);
        http.closeAllConnections();
      });
    },
  };
}

interface Admitted {
  readonly claims: TerminalClaims;
  readonly place: SessionPlace;
}

function refuse(socket: Duplex, refusal: Refusal): void {
  const problem = problemOf(refusal);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`,
    'Connection: close',
    `Content-Type: ${problemMediaType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.once('finish', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function problemOf({ code, detail }: Refusal): Problem {
  const { status, text } = refusedBy(code);
  return { type: `urn:spoonbox:problem:${code}`, code, title: text, status, detail };
}

/** Of the close table, only a session that is in use is told before the upgrade; the others are no fault of the request. */
function refusedBy(code: TerminalErrorCode): { status: number; text: string } {
  if (!isCloseName(code)) return refusalTable[code];
  return { status: code === 'session-in-use' ? 409 : 503, text: closeTable[code].text };
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
