import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  type RawServerDefault,
} from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BoxClasses } from '#shared/box-class.ts';
import type { BoxStore } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import { type Config, noLimits } from '#shared/config.ts';
import { codeOf, StartError } from '#shared/faults.ts';
import type { InstallationId, Keys } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { ProblemError } from '#shared/problem.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { type Access, addAccess, type ApiRoute } from './access.ts';
import type { Doctor } from '../doctor/examine.ts';
import type { Leftovers } from '../leftovers/leftovers.ts';
import type { Planner } from '../reconcile/planner.ts';
import type { Tracing } from '#shared/tracing.ts';
import type { VaultStore } from '#shared/vault-store.ts';
import { addBackupRoutes } from './backup-routes.ts';
import { createBoxFeed } from './box-feed.ts';
import { addBoxRoutes } from './box-routes.ts';
import { type Changes, createChanges } from './changes.ts';
import { addCapacityRoutes } from './capacity-routes.ts';
import { addConsoleRoutes } from './console-routes.ts';
import { addDoctorRoutes } from './doctor-routes.ts';
import { endRevoked } from './end-revoked.ts';
import { refuseUnknownIfMatch } from './etag.ts';
import type { Homes } from './homes.ts';
import { addLeaseRoutes } from './lease-routes.ts';
import { addLoginRoutes } from './login-routes.ts';
import { type ControllerMetrics, createControllerMetrics } from '../metrics/controller-metrics.ts';
import { answerMalformed, refuseWithoutHost, watchForMalformed } from './malformed.ts';
import { addMetricsRoutes, countRequests } from './metrics-routes.ts';
import { addRequestTraces } from './request-traces.ts';
import { addOtherRoutes } from './other-routes.ts';
import { answerProblem } from './problem-reply.ts';
import { addTokenRoutes } from './token-routes.ts';
import { addReconcilerRoutes, type LeaderPort } from './reconciler-routes.ts';
import { addRestoreRoutes } from './restore-routes.ts';
import { addRolloutRoutes } from './rollout-routes.ts';
import { addStatsRoutes, type StatsPort } from './stats-routes.ts';
import { addExplainRoutes } from './explain-routes.ts';
import { addEventRoutes } from './event-routes.ts';
import { type WatchLimits, watchLimits } from './event-stream.ts';
import { openApiOf } from './openapi.ts';
import { gatherRoutes } from './route-schema.ts';
import { addVaultImportRoutes } from './vault-import-routes.ts';
import { addVaultRotateRoutes } from './vault-rotate-routes.ts';
import { addVaultRoutes } from './vault-routes.ts';
import { addVaultHomeRoutes } from './vault-home-routes.ts';
import { createWatches, type Watches } from './watches.ts';
import { jsonSerializer, type ZodTypes, zodCompiler } from './zod-compiler.ts';

const bodyLimitBytes = 64 * 1024;
/** A request must have come whole by then; how long its answer may take is another matter. */
const requestWithinMs = 30_000;
/** When the API ends, answers that are under way have this long; then their connections are cut, and so are those without a request. */
const closeWithinMs = 2_000;
/** Longer path parts are no user name and no lease id, but are told so. */
const maxParamLength = 1_024;
/** Asked all the time: no log line is worth it. */
const notLogged = new Set(['/healthz', '/readyz']);

export type ApiConfig = Pick<
  Config,
  | 'internalToken'
  | 'terminalSecret'
  | 'publicWsUrl'
  | 'gatewayPort'
  | 'publicUrl'
  | 'apiRequestsPerS'
  | 'trustedProxies'
  | 'limits'
>;

export interface ApiHealth {
  /** `warnings`: what somebody should look at, though the process does its work */
  ready(): { readonly ok: boolean; readonly reasons: readonly string[]; readonly warnings?: readonly string[] };
  /** who leads, as far as this process knows; shown by /readyz as it is */
  leader(): object;
}

export interface ApiParts {
  readonly store: BoxStore;
  /** of tokens and logins; the rest goes through the store */
  readonly redis: RedisPort;
  readonly keys: Keys;
  readonly classes: BoxClasses;
  readonly config: ApiConfig;
  readonly health: ApiHealth;
  readonly log: Logger;
  readonly clock: Clock;
  readonly planner: Planner;
  readonly leader: LeaderPort;
  readonly stats: StatsPort;
  readonly doctor: Doctor;
  readonly leftovers: Leftovers;
  readonly vault: VaultStore;
  readonly installation: InstallationId;
  readonly homes: Homes;
  readonly watchLimits?: WatchLimits;
  /** what `/metrics` shows beside the API's own; without it, nothing */
  readonly metrics?: ControllerMetrics;
  /** without it, nothing is traced */
  readonly tracing?: Tracing;
  /** told of every answer but streams, before it is sent; what it throws fails the request. For tests. */
  readonly onAnswer?: (answer: ApiAnswer) => void;
}

export interface ApiAnswer {
  readonly method: string;
  /** as it was declared: `/v1/boxes/:user`; '' = there is no such route */
  readonly route: string;
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export interface RunningApi {
  /** every route, and who may ask it */
  readonly routes: readonly ApiRoute[];
  /** Answers with the address, `http://127.0.0.1:3922`; port 0 takes a free one. */
  listen(bind: string, port: number): Promise<string>;
  /** Ends watches with a last event and waits with an answer, then the server. Nobody can hold it up for more than some seconds. */
  close(): Promise<void>;
  /** The OpenAPI document of all its routes. */
  openApi(): object;
}

/** What the routes stand on. */
export interface Api extends ApiParts {
  readonly app: FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypes>;
  readonly access: Access;
  readonly changes: Changes;
  readonly watches: Watches;
  readonly metrics: ControllerMetrics;
  /** Trace context of a request, to be handed on; null = nobody traces. */
  readonly traceOf: (request: Pick<FastifyRequest, 'raw'>) => string | null;
  /** Aborted when the client of this reply has gone, or the API ends. */
  readonly untilGone: (reply: FastifyReply) => AbortSignal;
}

/** The HTTP API. Wires the parts; each group of routes has a file of its own. */
export function createApi(parts: ApiParts): RunningApi {
  const { store, classes, log, clock } = parts;
  const app = fastify({
    bodyLimit: bodyLimitBytes,
    requestTimeout: requestWithinMs,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    // What comes while it ends is answered as ever, and by problems of ours.
    return503OnClosing: false,
    // Addresses, and the host that a browser knows, are as a proxy on this machine, or one that is trusted, tells them.
    trustProxy: ['loopback', ...parts.config.trustedProxies],
    routerOptions: { maxParamLength },
    http: { requireHostHeader: false },
    schemaController: { compilersFactory: { buildValidator: notOurs, buildSerializer: notOurs } },
    clientErrorHandler: answerMalformed,
    frameworkErrors: (error, request, reply) => answerProblem(error, request, reply, log),
  }).withTypeProvider<ZodTypes>();
  const ending = new AbortController();
  const changes = createChanges(store, log);
  const feed = createBoxFeed(store, classes, changes, clock, log);
  const limits = parts.watchLimits ?? watchLimits;
  const watches = createWatches({ store, feed, changes, clock, limits, log });
  const routes = gatherRoutes(app);

  // fastify's own reads text too.
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler(zodCompiler);
  // A body that is left out is an empty one: every required field is then named. fastify would show it as `null`, which is none.
  app.addHook('preValidation', async (request) => {
    if (request.body === undefined) request.body = {};
  });
  app.setSerializerCompiler(jsonSerializer);
  app.setErrorHandler((error, request, reply) => answerProblem(error, request, reply, log));
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?')[0];
    throw new ProblemError('route-unknown', `there is no ${request.method} ${path}: check the path and the method`);
  });
  // The server closes what is idle when it ends; a connection that gets its answer after that would be kept alive.
  app.addHook('onSend', async (_request, reply) => {
    if (ending.signal.aborted) reply.header('connection', 'close');
  });
  addRequestLog(app, log);
  if (parts.onAnswer) addAnswerCheck(app, parts.onAnswer);
  // Before access is checked, so that what is refused there is counted and traced too.
  const metrics = parts.metrics ?? createControllerMetrics({ workers: 0, limits: noLimits });
  countRequests({ app, metrics, watches });
  const traceOf = addRequestTraces(app, parts.tracing);
  watchForMalformed(app.server);
  app.addHook('onRequest', refuseWithoutHost);
  const access = addAccess(app, { ...parts, ...parts.config });
  app.addHook('onRequest', async (request) => refuseUnknownIfMatch(request));
  endRevoked(app, access, clock, log);
  const openApi = () => openApiOf(routes, access.isOpen);

  const api: Api = { ...parts, app, access, changes, watches, untilGone, metrics, traceOf };
  addMetricsRoutes(api);
  addLeaseRoutes(api);
  addBoxRoutes(api);
  addEventRoutes(api);
  addExplainRoutes(api);
  addOtherRoutes(api);
  addTokenRoutes(api);
  addLoginRoutes(api);
  addConsoleRoutes(api);
  addReconcilerRoutes(api);
  addRolloutRoutes(api);
  addStatsRoutes(api);
  addDoctorRoutes(api);
  addVaultRoutes(api);
  addVaultImportRoutes(api);
  addVaultRotateRoutes(api);
  addVaultHomeRoutes(api);
  addCapacityRoutes(api);
  addBackupRoutes(api);
  addRestoreRoutes(api);
  addOpenApiRoute(app, openApi);

  function untilGone(reply: FastifyReply): AbortSignal {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort(new Error('the client has gone')));
    return AbortSignal.any([gone.signal, ending.signal]);
  }

  return {
    routes: access.routes,
    openApi,
    async listen(bind, port) {
      await changes.start();
      try {
        return await app.listen({ host: bind, port });
      } catch (error) {
        throw new StartError(whyNotListening(bind, port, error), 1, { cause: error });
      }
    },
    async close() {
      ending.abort(new Error('the API ends'));
      await watches.endAll();
      const cancelCut = clock.after(closeWithinMs, () => app.server.closeAllConnections());
      await app.close().finally(cancelCut);
      await changes.stop();
    },
  };
}

/** Where nothing is in its place, fastify loads ajv and a serializer at every start, though the compilers that are set are used. */
function notOurs(): never {
  throw new Error('the compilers of the API are set before its first route');
}

function whyNotListening(bind: string, port: number, error: unknown): string {
  const isUsed = codeOf(error) === 'EADDRINUSE';
  const why = error instanceof Error ? error.message : String(error);
  const reason = isUsed
    ? 'is in use: end what listens there, or set SPOON_CONTROLLER_PORT'
    : `cannot be used (${why}): check SPOON_BIND and SPOON_CONTROLLER_PORT`;
  return `Port ${port} on ${bind} ${reason}.`;
}

/** Made when it is first asked for: every route is there by then. */
function addOpenApiRoute(app: Api['app'], openApi: () => object): void {
  let text: string | null = null;
  app.get('/openapi.json', { config: { role: 'viewer' } }, async (_request, reply) => {
    text ??= JSON.stringify(openApi());
    return reply.type('application/json').send(text);
  });
}

function addAnswerCheck(app: Api['app'], onAnswer: (answer: ApiAnswer) => void): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const type = String(reply.getHeader('content-type') ?? '').split(';')[0] ?? '';
    const text = payload === undefined || payload === null ? '' : String(payload);
    onAnswer({ method: request.method, route: request.routeOptions.url ?? '', status: reply.statusCode, type, text });
  });
}

/** One line per request, at its end: who asked, and the path without its query, which may hold what must not be logged. */
function addRequestLog(app: Api['app'], log: Logger): void {
  app.addHook('onRequest', async (request, reply) => {
    const level = notLogged.has(request.routeOptions.url ?? '') ? 'debug' : 'info';
    const path = request.url.split('?')[0];
    reply.raw.once('close', () => {
      const { statusCode: status, writableFinished: answered } = reply.raw;
      const ms = Math.round(reply.elapsedTime);
      const { id: callerId, name: by } = request.caller ?? {};
      log[level](
        { method: request.method, path, status, ms, by, callerId },
        answered ? 'request' : 'request: the client went',
      );
    });
  });
}
