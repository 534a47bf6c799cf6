import { systemClock } from '#shared/clock.ts';
import { createBoxStore } from '#shared/box-store.ts';
import { boxNameOf, InstallationId, keysOf, networkNameOf, type UserName } from '#shared/identity.ts';
import { noLimits } from '#shared/config.ts';
import { createLogger } from '#shared/log.ts';
import { createRolloutStore } from '#shared/rollout-store.ts';
import { createToolStore } from '#shared/tools.ts';
import { connectRedis } from '#shared/redis.ts';
import { createVaultStore } from '#shared/vault-store.ts';
import { createApi } from '../../../controller/src/api/api.ts';
import { specOf } from '../../../controller/src/box/spec.ts';
import { defaultClassName } from '#shared/classes.ts';
import { TermController } from '../../../controller/src/controller.ts';
import { Health } from '../../../controller/src/health.ts';
import { Leader } from '../../../controller/src/leader.ts';
import { createControllerMetrics } from '../../../controller/src/metrics/controller-metrics.ts';
import { createLeaderStore } from '../../../controller/src/store/leader-store.ts';
import { createStatusStore } from '../../../controller/src/store/status-store.ts';
import { noVaults } from '../../support/no-vaults.ts';
import { createSimRuntime, type SimRuntime } from '../../support/sim-runtime.ts';
import { type Answer, Order, Settings } from './sim-controller-port.ts';
import { benchClasses, benchPolicies, userName } from './population.ts';
import { onlookingParts } from '../../support/onlooking-parts.ts';

/**
 * The program of a child process: the controller's own code (API, leader, reconcile loop) on a real Redis and a simulated
 * engine in which `boxes` boxes run. Without `withController` it holds the simulated boxes only, to be weighed alone.
 */

const settings = Settings.parse(JSON.parse(process.argv[2] ?? ''));
const installation = InstallationId.parse(settings.installation);
const image = { reference: benchClasses.get(defaultClassName)?.image ?? '', id: `sha256:${'1'.repeat(64)}` };
const homesDir = '/homes';
const pollMs = 2;

const runtime = createSimRuntime({
  installation,
  clock: systemClock,
  ...(settings.tellCalls && {
    onCall: (method, subject) => tell({ type: 'call', method, subject, atNs: String(process.hrtime.bigint()) }),
  }),
});
fill(runtime, settings.boxes);
const look = settings.withController ? await runController(runtime) : null;

process.on('message', (message) => {
  void answer(Order.parse(message)).then(tell, (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
tell({ type: 'started' });

async function answer(order: Order): Promise<Answer> {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  if (order.type === 'resync') look?.resync();
  if (order.type !== 'usage') await look?.settled();
  const { user, system } = process.cpuUsage(cpu);
  const calls = { ...runtime.calls };
  const rssBytes = process.memoryUsage.rss();
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  return {
    type: 'usage',
    cpuMs: (user + system) / 1_000,
    tookMs: performance.now() - begin,
    calls,
    rssBytes,
    peakRssBytes,
  };
}

function tell(message: Answer): void {
  process.send?.(message);
}

/** Boxes as an earlier controller has left them. */
function fill({ engine, homes }: SimRuntime, boxes: number): void {
  engine.images.set(image.reference, image.id);
  engine.networks.add(networkNameOf(installation));
  const boxClass = benchClasses.get(defaultClassName);
  if (boxClass === undefined) throw new Error('there is no default class');
  for (let index = 0; index < boxes; index++) {
    const user: UserName = userName(index);
    homes.set(user, boxClass.user.uid);
    const spec = specOf({ user, boxClass, imageId: image.id, homesDir, network: networkNameOf(installation) });
    const labels = { installation, role: 'box', user, generation: 1 };
    const { id } = engine.create('fill', { name: boxNameOf(user), ...labels, imageId: image.id, spec });
    engine.start('fill', id);
  }
}

/** Wired as `main.ts` does it, with the simulation in the engine's place. */
async function runController(sim: SimRuntime): Promise<{ resync(): void; settled(): Promise<void> }> {
  const log = createLogger({ name: 'controller', level: 'warn' });
  const clock = systemClock;
  const keys = keysOf(installation);
  const redis = connectRedis(settings.redisUrl, log);
  const policies = benchPolicies;
  const store = createBoxStore({ redis, keys, policies, defaultClass: defaultClassName });
  const leaderStore = createLeaderStore(redis, keys);
  const statusStore = createStatusStore({ redis, keys, policies });
  const secrets = { internalToken: 'bench-token-0123456789', terminalSecret: 'bench-secret-0123456789' };
  const addresses = { publicWsUrl: null, gatewayPort: 3921, publicUrl: 'http://127.0.0.1:3922' };
  const config = { ...secrets, ...addresses, apiRequestsPerS: 1_000_000, trustedProxies: [], limits: noLimits };
  const metrics = createControllerMetrics({ workers: 32, limits: noLimits });
  const looking = onlookingParts({ store, leaderStore, runtime: sim, classes: benchClasses, installation });
  const api = createApi({
    ...{ store, redis, keys, classes: benchClasses, config, health: new Health(), log, clock, metrics },
    ...looking,
    vault: createVaultStore({ redis, keys, seal: null }),
  });
  await api.listen('127.0.0.1', 0);

  let gap = (): void => {};
  let term: TermController | null = null;
  const follow: SimRuntime['follow'] = (on, signal) => {
    gap = on.gap;
    return sim.follow(on, signal);
  };
  const leader: Leader = new Leader({
    able: Promise.resolve(),
    store: leaderStore,
    clock,
    log,
    ttlMs: 2_000,
    holder: `bench:${process.pid}`,
    fingerprint: '',
    onTerm: async (next) => {
      const fixed = { installation, homesDir, clock, log, workers: 32, mutationsPerS: 1_000_000 };
      const rolloutStore = createRolloutStore(redis, keys);
      const stores = {
        store,
        statusStore,
        leaderStore,
        rolloutStore,
        toolStore: createToolStore(redis, keys),
        pulled: new Set<string>(),
        classes: benchClasses,
      };
      const { resyncMs } = settings;
      const terminalGraceMs = 300_000;
      const vaults = noVaults;
      const onNotLeader = (reason: string): void => leader.lost(reason);
      term = new TermController(
        {
          ...{
            ...stores,
            ...fixed,
            resyncMs,
            terminalGraceMs,
            vaults,
            limits: noLimits,
            runtime: { ...sim, follow },
            onNotLeader,
          },
          onEvent: metrics.onEvent,
        },
        next,
      );
      await term.run();
      term = null;
    },
    onBeat: (reply) => term?.beat(reply),
    onRedis: (problem) => problem !== null && log.warn({ problem }, 'Redis'),
    loop: () => term?.health() ?? null,
    onEvent: metrics.onEvent,
  });
  void leader.run(new AbortController().signal);

  let asked = performance.now();
  return {
    resync() {
      asked = performance.now();
      gap();
    },
    /** A resync that was asked for has ended, every pass too, and Redis is trusted. */
    async settled() {
      for (;;) {
        const stats = term?.stats();
        const isLooked = stats !== undefined && stats.lastResyncAgoMs !== null;
        if (isLooked && performance.now() - stats.lastResyncAgoMs > asked && stats.amnesty === null) {
          if (stats.waiting + stats.processing === 0) return;
        }
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      }
    },
  };
}
