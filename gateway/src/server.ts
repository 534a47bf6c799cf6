import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { sleep } from '#shared/clock.ts';
import { execPath } from '#shared/exec-protocol.ts';
import { problemMediaType } from '#shared/problem.ts';
import { type CloseName, terminalLimits, terminalPath, terminalProtocol } from '#shared/terminal-protocol.ts';
import type { TerminalClaims } from '#shared/terminal-claims.ts';
import { type Span, traceparentOf, type Tracing } from '#shared/tracing.ts';
import {
  type Admission,
  countAddress,
  countUser,
  readTerminalRequest,
  refusedOrigin,
  type TerminalRequest,
} from './admission.ts';
import { TerminalClient } from './client.ts';
import type { ConnectRate } from './connect-rate.ts';
import { protocolDialect, rawDialect } from './dialect.ts';
import { ClientGone, Ending } from './ending.ts';
import { sayGoodbye } from './goodbye.ts';
import type { JobServer } from './jobs/job-server.ts';
import { problemOf, type Refusal, refuse } from './refusal.ts';
import type { SessionDeps } from './session.ts';
import type { Sessions } from './sessions.ts';
import { ToldRefusals } from './told-refusals.ts';
import { upgrade } from './upgrade.ts';

export interface ServerDeps extends SessionDeps {
  readonly sessions: Sessions;
  readonly admission: Admission;
  readonly rate: ConnectRate;
  readonly tracing: Tracing;
  /** null: no commands are run here, only terminals */
  readonly jobs: JobServer | null;
  readonly allowedOrigins: readonly string[];
  readonly legacyTokens: boolean;
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
const toldByCloseCode: ReadonlySet<CloseName> = new Set([
  'try-later',
  'restarting',
  'too-many-sessions',
  'too-fast',
  'elsewhere',
]);

const never = new AbortController().signal;

export function createGatewayServer(deps: ServerDeps): GatewayServer {
  const { log, limits, meter } = deps;
  let draining = false;
  let handshakes = 0;
  const sockets = new Set<WebSocket>();
  /** those whose hello is waited for */
  const greeting = new Set<TerminalClient>();
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
  const refusals = new ToldRefusals(limits.handshakesAtOnce);
  meter.watch(
    () => ({
      sessions: deps.sessions.count,
      ringBytes: deps.rings.usedBytes,
      opened: deps.sessions.opened,
      sockets: sockets.size,
      jobs: deps.jobs?.count ?? 0,
      jobsStarted: deps.jobs?.started ?? 0,
    }),
    limits,
  );
  const http = createServer({
    maxHeaderSize: limits.maxRequestHeadBytes,
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
    if (deps.jobs?.handles(pathOf(request))) {
      void deps.jobs.open(request, socket, head);
      return;
    }
    open(request, socket, head).catch((error: unknown) => {
      log.error({ error }, 'a terminal could not be opened');
      socket.destroy();
    });
  });

  async function open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const asked = readTerminalRequest(request, deps.legacyTokens);
    if ('code' in asked) {
      turnAway(socket, asked);
      return;
    }
    const badOrigin = refusedOrigin(request, deps.allowedOrigins);
    if (badOrigin !== null) {
      turnAway(socket, badOrigin);
      return;
    }
    const parent = traceparentOf(request.headers);
    const attach = deps.tracing.start({ name: 'attach terminal', parent });
    const admitted = await admit(request, asked.token);
    if (admitted instanceof Ending) {
      if (toldByCloseCode.has(admitted.close)) {
        meter.refused('terminal', admitted.errorCode);
        const dialect = asked.protocol === 'raw' ? rawDialect() : protocolDialect;
        await refusals.tell(request, socket, head, admitted, dialect);
      } else turnAway(socket, { code: admitted.errorCode, detail: admitted.message });
      attach.end(admitted.errorCode);
      return;
    }
    // While the handshake is made and its hello comes, Redis answers; and the shell starts, where its size is known.
    const size = asked.hasSize ? asked.size : null;
    const hasCome = admitted === null ? null : deps.sessions.expect(admitted, size, attach);
    try {
      const client = await upgrade(servers[asked.protocol], request, socket, head, (ws) => clientOf(ws, socket, asked));
      if (client === null) attach.end('no WebSocket');
      else await serve(client, asked, admitted, attach);
    } finally {
      hasCome?.();
    }
  }

  function turnAway(socket: Duplex, refusal: Refusal): void {
    meter.refused('terminal', refusal.code);
    refuse(socket, refusal);
  }

  /** null: who this is comes with the first message. */
  async function admit(request: IncomingMessage, token: string | null): Promise<TerminalClaims | Ending | null> {
    try {
      if (draining) throw new Ending('restarting');
      countAddress(deps.rate, request);
      if (token !== null) return await deps.admission.admit(token);
      if (handshakes >= limits.handshakesAtOnce) throw new Ending('try-later');
      return null;
    } catch (error) {
      if (error instanceof Ending) return error;
      throw error;
    }
  }

  function clientOf(ws: WebSocket, wire: Duplex, { protocol, size }: TerminalRequest): TerminalClient {
    sockets.add(ws);
    ws.once('close', () => sockets.delete(ws));
    return new TerminalClient(ws, wire, protocol === 'raw' ? rawDialect() : protocolDialect, size, deps);
  }

  async function serve(
    client: TerminalClient,
    asked: TerminalRequest,
    admitted: TerminalClaims | null,
    attach: Span,
  ): Promise<void> {
    handshakes += 1;
    try {
      greeting.add(client);
      const hello = asked.protocol === 'raw' ? null : await client.hello();
      greeting.delete(client);
      const has = hello?.offset ?? null;
      if (admitted === null && hello?.ticket !== undefined) {
        if (draining) throw new Ending('restarting');
        await deps.sessions.resume(hello.ticket, client, has, (user) => countUser(deps.rate, user), attach);
        meter.admitted('terminal');
        return;
      }
      if (admitted === null && hello?.token === undefined) {
        const message = 'hello must carry a token or a ticket here';
        throw new Ending('token-refused', { errorCode: 'token-missing', message });
      }
      const claims = admitted ?? (await deps.admission.admit(hello?.token ?? ''));
      await deps.sessions.enter(claims, client, has !== null, attach);
      meter.admitted('terminal');
    } catch (error) {
      if (error instanceof ClientGone) {
        attach.end(error.message);
        return;
      }
      if (!(error instanceof Ending)) log.error({ error }, 'a terminal could not be opened');
      const ending = error instanceof Ending ? error : new Ending('internal');
      meter.refused('terminal', ending.errorCode);
      attach.end(ending.errorCode);
      sayGoodbye(client, ending);
    } finally {
      greeting.delete(client);
      handshakes -= 1;
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request);
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
      send(response, 200, meter.registry.contentType, await meter.registry.metrics());
    } else {
      const code = path === terminalPath || deps.jobs?.handles(path) ? 'upgrade-required' : 'route-unknown';
      const problem = problemOf({
        code,
        detail: `terminals are WebSockets, at ${terminalPath}, and commands at ${execPath}`,
      });
      send(response, problem.status, problemMediaType, JSON.stringify(problem));
    }
  }

  return {
    http,
    refuseNew() {
      draining = true;
      for (const client of greeting) sayGoodbye(client, new Ending('restarting'));
    },
    async close() {
      // Those that were told goodbye have a moment to hear it.
      const giveUpAt = deps.clock.monotonicMs() + limits.goodbyeWithinMs;
      while (sockets.size + refusals.count > 0 && deps.clock.monotonicMs() < giveUpAt)
        await sleep(deps.clock, 20, never);
      for (const ws of sockets) ws.terminate();
      refusals.cut();
      await new Promise((resolve) => {
        http.close(resolve);
        http.closeAllConnections();
      });
    },
  };
}

function pathOf(request: IncomingMessage): string {
  return URL.parse(request.url ?? '', 'http://gateway')?.pathname ?? '';
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
