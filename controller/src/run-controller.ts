import { hostname } from 'node:os';
import { join } from 'node:path';
import { createBoxStore } from '#shared/box-store.ts';
import { systemClock } from '#shared/clock.ts';
import { readConfig } from '#shared/config.ts';
import { keysOf } from '#shared/identity.ts';
import { claimRedis, readInstallation } from '#shared/installation.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { readRedisServer } from '#shared/redis-server.ts';
import { addProcessMetrics } from '#shared/metrics.ts';
import { boundDrain } from '#shared/run-process.ts';
import { createRolloutStore } from '#shared/rollout-store.ts';
import { secretFingerprint } from '#shared/terminal-token.ts';
import { createVaultOrders } from '#shared/vault-orders.ts';
import { tracedStore } from '#shared/traced-store.ts';
import { createToolStore } from '#shared/tools.ts';
import { openTracing } from '#shared/tracing.ts';
import { createVaultStore } from '#shared/vault-store.ts';
import { vaultKeysOf } from '#shared/vault-seal.ts';
import { createApi } from './api/api.ts';
import { homesAt } from './api/homes.ts';
import { fromStore } from './api/problem-reply.ts';
import { defaultClassName, idlePoliciesOf, loadClasses } from '#shared/classes.ts';
import { checkVault } from './check-vault.ts';
import { storedCapacity } from './capacity/stored-capacity.ts';
import { TermController } from './controller.ts';
import { createDoctor } from './doctor/examine.ts';
import { tellAtStart } from './doctor/tell-at-start.ts';
import { startEngine } from './engine-start.ts';
import { Health } from './health.ts';
import { measureHourly } from './homes/hourly.ts';
import { askedEveryMs, HomeMeter } from './homes/meter.ts';
import { presentHomes } from './homes/present.ts';
import { homeTotals } from './homes/totals.ts';
import { Leader } from './leader.ts';
import { createLeftovers } from './leftovers/leftovers.ts';
import { createPlanner } from './reconcile/planner.ts';
import { standIn, unreachedEngine } from './reconcile/stand-in.ts';
import type { OnLoopEvent } from './loop-events.ts';
import { traceLoop } from './loop-traces.ts';
import { createControllerMetrics } from './metrics/controller-metrics.ts';
import { connectHostEngine } from './runtime/host-engine.ts';
import type { BoxRuntime } from './runtime/port.ts';
import { createHomeVaults } from './store/home-vaults.ts';
import { createHomeStore } from './store/home-store.ts';
import { createLeaderStore } from './store/leader-store.ts';
import { type HomesPort, StatsCollector } from './stats/collector.ts';
import { createStatusStore, type StatusStore } from './store/status-store.ts';

/** What stands between the reconciler and the two ports through which it changes anything. */
export interface Seams {
  readonly runtime: (runtime: BoxRuntime) => BoxRuntime;
  readonly statusStore: (store: StatusStore) => StatusStore;
}

const asTheyAre: Seams = { runtime: (runtime) => runtime, statusStore: (store) => store };

/** One controller, from its configuration to its drain: `main.ts` without the process around it. */
export async function runController(signal: AbortSignal, seams = asTheyAre): Promise<void> {
  const config = readConfig(process.env);
  const clock = systemClock;
  const log = createLogger({ name: 'controller', level: config.logLevel });
  boundDrain(signal, config.drainMs, log);
  for (const warning of config.warnings) log.warn(warning);
  const classes = loadClasses(config.classesDir, config);
  const installation = readInstallation(config.workdir, config.installationId);
  const keys = keysOf(installation);
  const redis = connectRedis(config.redisUrl, log);
  const policies = idlePoliciesOf(classes);
  const tracing = await openTracing({ url: config.otlpUrl, service: 'spoonbox-controller', log });
  const store = tracedStore(createBoxStore({ redis, keys, policies, defaultClass: defaultClassName }), tracing);
  const vault = createVaultStore({ redis, keys, seal: vaultKeysOf(config) });
  const leaderStore = createLeaderStore(redis, keys);
  const vaultOrders = createVaultOrders({ redis, keys });
  const vaults = createHomeVaults({ vaults: vault, orders: vaultOrders });
  const health = new Health();

  const metrics = createControllerMetrics({ workers: config.workers, limits: config.limits });
  addProcessMetrics(metrics.registry);
  const traces = tracing.isOn ? traceLoop(tracing) : null;
  const onEvent: OnLoopEvent = (event) => {
    metrics.onEvent(event);
    traces?.(event);
  };

  const rolloutStore = createRolloutStore(redis, keys);
  const toolStore = createToolStore(redis, keys);
  const pulled = new Set<string>();
  let term: TermController | null = null;
  let reached: BoxRuntime | null = null;
  const { dockerHost, workdir, hostWorkdir } = config;
  const homesDir = `${hostWorkdir}/homes`;
  const room = () => storedCapacity({ store, limits: config.limits, classes });
  const planner = createPlanner({
    store: { read: (user) => fromStore(store.read(user)), users: () => fromStore(store.users()) },
    vantage: async () =>
      term?.vantage() ??
      (await fromStore(standIn({ runtime: reached, leaderStore, sources: { classes, installation, homesDir }, room }))),
  });
  const leading = { leads: () => term !== null, report: () => leaderStore.report() };
  const lookAt = () => reached ?? unreachedEngine;
  const homeStore = createHomeStore({ redis, keys });
  const homeFolder = homesAt(join(workdir, 'homes'));
  const known = presentHomes(homeStore, homeFolder);
  const meter = new HomeMeter({ runtime: lookAt, store: homeStore, clock, log, signal });
  const homes: HomesPort = {
    all: () => fromStore(homeStore.all()),
    of: async (user) => (await fromStore(store.read(user))).homeUsage,
    asked: (boxes) => void meter.look(boxes, askedEveryMs),
  };
  const stats = new StatsCollector({ runtime: lookAt, homes, classes, installation, clock, signal });
  const connect = () => connectHostEngine({ dockerHost, installation, workdir, hostWorkdir, log });
  const leftovers = createLeftovers({
    ...{ connect, workdir, hostWorkdir, classes, log },
    store: { wish: (...asked) => fromStore(store.wish(...asked)) },
  });
  const readRedis = () => readRedisServer(config.redisUrl);
  const doctor = createDoctor({
    ...{ config, classes, installation, store, homes: known, leaderStore, vault, connect },
    wallClockMs: () => Date.now(),
    readRedis,
  });
  const api = createApi({
    ...{ store, redis, keys, classes, config, health, log, clock, metrics, tracing },
    ...{ planner, leader: leading, stats, doctor, leftovers, vault },
    ...{ installation, homes: homeFolder },
  });
  log.info({ address: await api.listen(config.bind, config.controllerPort), installation }, 'API listens');
  try {
    const claim = { clock, log, onProblem: (problem: string | null) => health.redis(problem) };
    await claimRedis(redis, installation, claim, signal);
    void tellAtStart({ config, readRedis, log });
    const checked = checkVault(
      { store, vault, clock, log, onProblem: (problem) => health.vault(problem) },
      signal,
    ).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    const engine = startEngine({ config, installation, classes, clock, log, health, onEvent }, signal).then(
      (runtime) => {
        reached = runtime;
        return runtime;
      },
    );
    const leader: Leader = new Leader({
      store: leaderStore,
      clock,
      log,
      ttlMs: config.leaderTtlMs,
      holder: `${hostname()}:${process.pid}`,
      fingerprint: secretFingerprint(config.terminalSecret),
      able: engine,
      onTerm: async (next) => {
        const runtime = seams.runtime(await engine);
        // Once more: a Redis that was emptied has forgotten whose it is.
        await claimRedis(redis, installation, claim, next.signal);
        term = new TermController(
          {
            store,
            statusStore: seams.statusStore(createStatusStore({ redis, keys, policies })),
            leaderStore,
            rolloutStore,
            toolStore,
            pulled,
            vaults,
            runtime,
            classes,
            installation,
            homesDir,
            clock,
            log,
            workers: config.workers,
            mutationsPerS: config.mutationsPerS,
            resyncMs: config.resyncMs,
            terminalGraceMs: config.terminalGraceMs,
            limits: config.limits,
            onNotLeader: (reason) => leader.lost(reason),
            onEvent,
          },
          next,
        );
        try {
          const hourly = measureHourly(
            {
              ...{ runtime, store, homes: known, meter, installation, clock, log },
              onKnown: (all) => onEvent({ type: 'homes-known', ...homeTotals(all, classes) }),
            },
            next.signal,
          );
          await Promise.all([term.run(), hourly]);
        } finally {
          term = null;
        }
      },
      onBeat: (reply) => term?.beat(reply),
      onRedis: (problem) => health.redis(problem),
      loop: () => term?.health() ?? null,
      onEvent,
    });
    health.watch(
      () => leader.status(),
      () => term?.stats() ?? null,
    );
    await Promise.all([engine, leader.run(signal), checked]);
  } finally {
    health.drain();
    await api.close();
    await redis.close();
    await tracing.close();
  }
  log.info('stopped; the boxes go on');
}
