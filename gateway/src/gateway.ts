import { randomBytes } from 'node:crypto';
import type { AccessStore } from '#shared/access-store.ts';
import type { BoxStore } from '#shared/box-store.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import { ownAddress } from '#shared/config.ts';
import { codeOf, StartError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import { secretFingerprint } from '#shared/terminal-token.ts';
import { createTokenCheck } from '#shared/token-check.ts';
import { tracedStore } from '#shared/traced-store.ts';
import { noTracing, type Tracing } from '#shared/tracing.ts';
import { version } from '#shared/version.ts';
import { Admission } from './admission.ts';
import { ConnectRate, proxiesOf } from './connect-rate.ts';
import { endedBy } from './ending.ts';
import type { ReadEnvironment } from './environment.ts';
import type { BoxCommands } from './exec/command-port.ts';
import type { BoxExec } from './exec/port.ts';
import { StartQueue } from './exec/start-queue.ts';
import { createJobServer } from './jobs/job-server.ts';
import type { GatewayLimits } from './limits.ts';
import { GatewayMeter } from './metrics/gateway-meter.ts';
import { ReapNews } from './last-reap.ts';
import { Registration } from './registration.ts';
import { RingBudget } from './ring-budget.ts';
import { createGatewayServer } from './server.ts';
import type { SessionDeps } from './session.ts';
import { Sessions } from './sessions.ts';
import { openStatusFeed } from './status-feed.ts';

export interface GatewayOptions {
  readonly store: BoxStore;
  readonly exec: BoxExec;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: GatewayLimits;
  readonly terminalOf: SessionDeps['terminalOf'];
  /** of users' vaults */
  readonly environment: ReadEnvironment;
  readonly recordings: SessionDeps['recordings'];
  readonly secret: string;
  /** of the keys that open vaults */
  readonly vaultKeyIds: readonly string[];
  /** what Spoon's own worker took passes, too: `spoon-names.ts` */
  readonly legacyTokens?: boolean;
  /** how commands are run, and the tokens that run them in every box; null: only terminals */
  readonly jobs: { readonly commands: BoxCommands; readonly apiToken: string; readonly access: AccessStore } | null;
  readonly allowedOrigins: readonly string[];
  /** addresses and networks whose X-Forwarded-For is believed, beside this machine's */
  readonly trustedProxies: readonly string[];
  readonly bind: string;
  /** 0 = any free one */
  readonly port: number;
  /** null = where it listens */
  readonly publicUrl: string | null;
  /** what it counts, for `/metrics`; without it, one of its own */
  readonly meter?: GatewayMeter;
  /** without it, nothing is traced */
  readonly tracing?: Tracing;
}

export interface Gateway {
  readonly id: string;
  readonly port: number;
  readonly sessions: number;
  /** commands that run */
  readonly jobs: number;
  /** Ends all terminals properly, each client told, for at most `withinMs`; then closes. */
  drain(withinMs: number): Promise<void>;
}

/** A whole gateway over its ports: the same in `main.ts` and in tests. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { clock, log, limits, exec, tracing = noTracing, legacyTokens = false } = options;
  const store = tracedStore(options.store, tracing);
  const id = `gw-${randomBytes(6).toString('hex')}`;
  let registration: Registration | null = null;
  let onGap = (): void => {};
  const feed = await openStatusFeed(store, log, () => onGap());
  const starts = new StartQueue(limits.startsAtOnce);
  const screens = new StartQueue(limits.screensAtOnce);
  const rings = new RingBudget(limits.ringsBytes);
  const { terminalOf, recordings } = options;
  const news = new ReapNews();
  const deps = {
    store,
    feed,
    clock,
    limits,
    log,
    exec,
    commands: options.jobs?.commands ?? null,
    starts,
    screens,
    rings,
    gateway: id,
    terminalOf,
    environment: options.environment,
    recordings,
    news,
    meter: options.meter ?? new GatewayMeter(),
    tracing,
  };
  const sessions = new Sessions(deps);
  onGap = () => {
    sessions.recordAgain();
    void registration?.now();
  };
  const rate = new ConnectRate(clock, limits.connectRates, proxiesOf(options.trustedProxies));
  const { secret } = options;
  const admission = new Admission({ store, clock, limits, log, secret, legacyTokens, sessions, rate });
  const { allowedOrigins } = options;
  const jobs =
    options.jobs &&
    createJobServer({
      ...deps,
      rate,
      allowedOrigins,
      commands: options.jobs.commands,
      secrets: {
        apiTokens: createTokenCheck({ internalToken: options.jobs.apiToken, store: options.jobs.access, clock }),
        tokenSecret: options.secret,
      },
      spend: (jti) => admission.spend(jti),
    });
  const server = createGatewayServer({
    ...deps,
    sessions,
    admission,
    rate,
    jobs,
    allowedOrigins,
    legacyTokens,
    async notReady() {
      const reasons: string[] = [];
      if (!registration?.isCurrent()) reasons.push('Redis does not answer');
      await exec.ping().catch((error: unknown) => {
        reasons.push(
          `the container engine does not answer (${error instanceof Error ? error.message : String(error)})`,
        );
      });
      return reasons;
    },
  });
  const port = await listen(server.http, options);
  // A failed accept (no descriptors left, say) costs one client, not the gateway.
  server.http.on('error', (error) => log.error({ error }, 'the HTTP server had an error'));
  registration = new Registration({
    store,
    clock,
    limits,
    log,
    sessions,
    gateway: {
      id,
      address: options.publicUrl ?? `ws://${ownAddress(options.bind, port)}`,
      fingerprint: secretFingerprint(options.secret),
      version,
      vaultKeyIds: options.vaultKeyIds.join(','),
    },
  });
  await registration.start();
  log.info({ gateway: id, bind: options.bind, port }, 'gateway serves terminals');

  return {
    id,
    port,
    get sessions() {
      return sessions.count;
    },
    get jobs() {
      return jobs?.count ?? 0;
    },
    async drain(withinMs) {
      log.info({ terminals: sessions.count, withinMs }, 'draining');
      server.refuseNew();
      sessions.close(endedBy('restarting'));
      const late = new AbortController();
      const deadline = sleep(clock, withinMs, late.signal).then(
        () =>
          log.error(
            { terminals: sessions.count, jobs: jobs?.count },
            'drain took too long; what is left is ended by the sweep',
          ),
        () => {},
      );
      await Promise.race([Promise.all([sessions.empty(), jobs?.drain()]), deadline]);
      late.abort();
      await Promise.all([registration.stop(), feed.close().catch(() => {})]);
      await server.close();
    },
  };
}

function listen(
  http: ReturnType<typeof createGatewayServer>['http'],
  { bind, port }: { bind: string; port: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    http.once('error', (error) => {
      const used = codeOf(error) === 'EADDRINUSE';
      const what = used
        ? 'is in use: end what listens there, or set SPOON_GATEWAY_PORT'
        : `cannot be used (${error.message})`;
      reject(new StartError(`Port ${port} on ${bind} ${what}.`, 1, { cause: error }));
    });
    http.listen(port, bind, () => {
      const address = http.address();
      resolve(address !== null && typeof address === 'object' ? address.port : port);
    });
  });
}
