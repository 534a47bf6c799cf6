import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, sleep } from '#shared/clock.ts';
import { codeOf } from '#shared/faults.ts';
import type { InstallationId } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { ExecStartBody, readBody } from './body.ts';
import { Boxes } from './boxes.ts';
import { answerCall } from './calls.ts';
import type { Engine } from './engine.ts';
import { lengthOf, refusedHead } from './head.ts';
import type { FilterLimits } from './limits.ts';
import { readBeforeUpgrade, readRequest } from './read-request.ts';
import { EngineSilent, Refused, refused } from './refused.ts';
import { type Route, routeOf } from './route.ts';
import { listenAt } from './socket-file.ts';
import { Streams } from './streams.ts';

export interface FilterOptions {
  readonly engine: Engine;
  readonly installation: InstallationId;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: FilterLimits;
}

export interface Filter {
  /** connections of started execs that are open */
  readonly streams: number;
  /** Throws a StartError where the path cannot be used. */
  listen(path: string): Promise<void>;
  /**
   * Takes no connection any more, and removes the socket's file, so that another filter may listen there at once. Waits for started execs to
   * end for at most `withinMs`, then cuts them.
   */
  drain(withinMs: number): Promise<void>;
}

/**
 * Stands between a gateway and the engine, so that the gateway needs no socket that gives it the whole machine. A request is read
 * to its end, checked, and then made anew for the engine: no byte of it is passed on as it came, but what goes through a
 * started exec.
 *
 * INVARIANTS
 * - One request at a time on a connection. After a refusal its connection is closed, and whatever else was sent on it unread.
 * - The engine is only told what `answerCall` and `start` tell it, about a box or an exec that `Boxes` has let through.
 */
export function createFilter({ engine, installation, clock, log, limits }: FilterOptions): Filter {
  const boxes = new Boxes({ engine, installation, clock, limits });
  const streams = new Streams();
  /** connections with a request that is not answered yet, or was refused */
  const taken = new WeakSet<Duplex>();
  const open = new Set<Socket>();
  let largeBodies = 0;
  let draining = false;
  const http = createServer({
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.requestWithinMs,
    requestTimeout: limits.requestWithinMs,
    connectionsCheckingInterval: limits.lookEveryMs,
    keepAliveTimeout: limits.keepAliveMs,
    insecureHTTPParser: false,
  });
  http.maxConnections = limits.connections;
  http.on('error', (error) => log.error({ error }, 'the HTTP server had an error'));
  http.on('drop', () => log.warn({ connections: limits.connections }, 'a connection is dropped: there are too many'));
  http.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    // Node takes its own listener away with a connection that it hands over. Without one, whoever closes theirs early ends this process.
    socket.on('error', () => {}); // a `close` follows
  });
  http.on('request', (request, response) => void answer(request, response));
  // Without these Node would go on with such a request, or pass it by unseen.
  for (const event of ['checkContinue', 'checkExpectation'] as const) {
    http.on(event, (request: IncomingMessage, response: ServerResponse) => void answer(request, response));
  }
  http.on('upgrade', (request, socket, head) => {
    // What listens on a path has no other connections.
    if (socket instanceof Socket) void start(request, socket, head);
    else socket.destroy();
  });
  http.on('connect', (request, socket) => turnAway(socket, request, refused('CONNECT', 'this is no proxy')));
  http.on('clientError', (error, socket) => {
    const code = codeOf(error) ?? error.message;
    if (code === 'ECONNRESET' || code === 'EPIPE') {
      socket.destroy();
      return;
    }
    const status = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
    turnAway(socket, null, new Refused(`the filtering socket refuses what is no plain HTTP/1.1: ${code}`, status));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    if (isTaken(request, socket)) return;
    const gone = new AbortController();
    response.once('close', () => gone.abort(new EngineSilent('the client has gone')));
    let release = (): void => {};
    try {
      const route = checked(request);
      if (route.is === 'exec-start') throw refused('this start', 'it takes over its connection (Upgrade: tcp)');
      release = holdBody(request);
      const body = await readRequest(request);
      const { status, type, body: text } = await answerCall({ engine, boxes }, route, body, gone.signal);
      taken.delete(socket);
      send(response, status, type, text);
    } catch (error) {
      if (error instanceof Refused) {
        if (error.byEngine) taken.delete(socket);
        else {
          response.shouldKeepAlive = false;
          note(request, error);
        }
        send(response, error.status, 'application/json', messageOf(error));
      } else cut(error, request, socket);
    } finally {
      release();
    }
  }

  async function start(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    if (isTaken(request, socket)) return;
    const gone = new AbortController();
    const onGone = (): void => gone.abort(new EngineSilent('the client has gone'));
    socket.once('close', onGone);
    try {
      const route = checked(request);
      if (route.is !== 'exec-start') {
        throw refused('this upgrade', 'only the start of an exec takes over its connection');
      }
      if (request.headers.upgrade !== 'tcp') throw refused('this upgrade', 'it is Upgrade: tcp');
      const length = lengthOf(request) ?? 0;
      if (length > limits.startBodyBytes)
        throw refused(`a start of ${length} bytes`, `at most ${limits.startBodyBytes}`);
      const bytes = await readBeforeUpgrade(socket, head, length, limits.requestWithinMs);
      const body = JSON.stringify(readBody(ExecStartBody, bytes));
      await boxes.exec(route.api, route.exec, gone.signal);
      const call = { method: 'POST', path: `/v${route.api}/exec/${route.exec}/start`, body } as const;
      const started = await engine.takeOver(call, gone.signal);
      socket.off('close', onGone);
      socket.write(switching);
      streams.join(socket, started);
      if (socket.destroyed) started.destroy();
    } catch (error) {
      if (error instanceof Refused) turnAway(socket, request, error);
      else cut(error, request, socket);
    }
  }

  /** Throws a Refused. */
  function checked(request: IncomingMessage): Route {
    const route = routeOf(request.method ?? '', request.url ?? '');
    const problem = route instanceof Refused ? route : refusedHead(request, limits.bodyBytes);
    if (route instanceof Refused) throw route;
    if (problem !== null) throw problem;
    return route;
  }

  /** Counts a large body until the function that it answers is called. Throws a Refused where there are too many. */
  function holdBody(request: IncomingMessage): () => void {
    if ((lengthOf(request) ?? 0) <= limits.smallBodyBytes) return () => {};
    if (largeBodies >= limits.largeBodiesAtOnce) {
      throw new Refused(`the filtering socket refuses a large body: there are ${largeBodies} now; try again`, 503);
    }
    largeBodies += 1;
    return () => {
      largeBodies -= 1;
    };
  }

  /** Also takes the connection. One that is taken already has sent two requests at once: nothing that a gateway does. */
  function isTaken(request: IncomingMessage, socket: Duplex): boolean {
    if (taken.has(socket)) {
      note(request, refused('a second request', 'the first one was not answered yet, or was refused'));
      socket.destroy();
      return true;
    }
    taken.add(socket);
    return false;
  }

  function turnAway(socket: Duplex, request: IncomingMessage | null, refusal: Refused): void {
    if (!refusal.byEngine) note(request, refusal);
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const text = messageOf(refusal);
    const lines = [
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? 'Refused'}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(text)}`,
      'Connection: close',
    ];
    socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
  }

  /** As a gateway would see an engine that cannot be reached: it tries again for as long as that lasts. */
  function cut(error: unknown, request: IncomingMessage, socket: Duplex): void {
    if (socket.destroyed) log.debug({ ...shown(request), error }, 'the client has gone');
    else if (error instanceof EngineSilent) log.warn({ ...shown(request), error }, 'no answer of the engine');
    else log.error({ ...shown(request), error }, 'a request failed');
    socket.destroy();
  }

  function note(request: IncomingMessage | null, refusal: Refused): void {
    log.warn({ ...(request && shown(request)), status: refusal.status, why: refusal.message }, 'refused');
  }

  function shown(request: IncomingMessage): { method: string | undefined; path: string | undefined } {
    return { method: request.method, path: request.url?.slice(0, limits.pathLength) };
  }

  function send(response: ServerResponse, status: number, type: string, text: string): void {
    if (draining) response.shouldKeepAlive = false;
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
    response.end(text);
  }

  return {
    get streams() {
      return streams.count;
    },
    listen: (path) => listenAt(http, path),
    async drain(withinMs) {
      log.info({ connections: streams.count, withinMs }, 'draining');
      draining = true;
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      const late = new AbortController();
      const deadline = sleep(clock, withinMs, late.signal).then(
        () => log.warn({ connections: streams.count }, 'the drain is over; what is still open is cut'),
        () => {},
      );
      await Promise.race([closed, deadline]);
      late.abort();
      for (const socket of open) socket.destroy();
      await closed;
      engine.close();
    },
  };
}

const switching = [
  'HTTP/1.1 101 UPGRADED',
  'Content-Type: application/vnd.docker.raw-stream',
  'Connection: Upgrade',
  'Upgrade: tcp',
  '\r\n',
].join('\r\n');

function messageOf(refusal: Refused): string {
  return `${JSON.stringify({ message: refusal.message })}\n`;
}
