import type { BoxClasses } from '#shared/box-class.ts';
import { createBoxStore, type IdlePolicies } from '#shared/box-store.ts';
import type { Limits } from '#shared/config.ts';
import type { InstallationId, Keys } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { createRolloutStore } from '#shared/rollout-store.ts';
import { createToolStore } from '#shared/tools.ts';
import { TermController } from '../../controller/src/controller.ts';
import { Leader } from '../../controller/src/leader.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import { createHomeVaults } from '../../controller/src/store/home-vaults.ts';
import { createLeaderStore } from '../../controller/src/store/leader-store.ts';
import { createStatusStore } from '../../controller/src/store/status-store.ts';
import type { SimProcess } from './sim-process.ts';
import { simVaults } from './sim-vaults.ts';

export const leaderTtlMs = 12_000;
const resyncMs = 30_000;

/** The controller process as `main.ts` wires it, over the simulation's ports. Returns what ends it properly. */
export function startSimController(options: {
  process: SimProcess;
  redis: RedisPort;
  runtime: BoxRuntime;
  keys: Keys;
  policies: IdlePolicies;
  classes: BoxClasses;
  installation: InstallationId;
  limits: Limits;
  log: Logger;
}): { stop: () => Promise<void> } {
  const { process, redis, runtime, keys, policies, classes, installation, limits, log } = options;
  const { clock } = process;
  const store = createBoxStore({ redis, keys, policies, defaultClass: 'default' });
  const ending = new AbortController();
  const pulled = new Set<string>();
  let term: TermController | null = null;
  const leader: Leader = new Leader({
    able: Promise.resolve(),
    store: createLeaderStore(redis, keys),
    clock,
    log,
    ttlMs: leaderTtlMs,
    holder: process.name,
    fingerprint: 'same',
    onTerm: async (next) => {
      const statusStore = createStatusStore({ redis, keys, policies });
      const common = {
        store,
        statusStore,
        leaderStore: createLeaderStore(redis, keys),
        rolloutStore: createRolloutStore(redis, keys),
        toolStore: createToolStore(redis, keys),
        pulled,
        vaults: createHomeVaults(simVaults(redis, keys)),
        runtime,
        classes,
        installation,
      };
      term = new TermController(
        {
          ...common,
          homesDir: '/homes',
          clock,
          log,
          workers: 8,
          mutationsPerS: 100,
          resyncMs,
          terminalGraceMs: 300_000,
          limits,
          onNotLeader: (reason) => leader.lost(reason),
        },
        next,
      );
      await term.run();
      term = null;
    },
    onBeat: (reply) => term?.beat(reply),
    onRedis: () => {},
  });
  const running = leader.run(ending.signal);
  return {
    async stop() {
      ending.abort(new Error('told to stop'));
      await running;
    },
  };
}
