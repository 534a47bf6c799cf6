import type { BoxClasses } from '#shared/box-class.ts';
import type { BoxStore } from '#shared/box-store.ts';
import { systemClock } from '#shared/clock.ts';
import type { InstallationId } from '#shared/identity.ts';
import { ProblemError } from '#shared/problem.ts';
import { version } from '#shared/version.ts';
import type { ApiParts } from '../../controller/src/api/api.ts';
import { fromStore } from '../../controller/src/api/problem-reply.ts';
import { createPlanner } from '../../controller/src/reconcile/planner.ts';
import { standIn } from '../../controller/src/reconcile/stand-in.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import { StatsCollector } from '../../controller/src/stats/collector.ts';
import type { LeaderStore } from '../../controller/src/store/leader-store.ts';

/** What the API gets of a controller that does not lead, over any engine. */
export function onlookingParts(options: {
  store: BoxStore;
  leaderStore: LeaderStore;
  runtime: BoxRuntime;
  classes: BoxClasses;
  installation: InstallationId;
}): Pick<ApiParts, 'planner' | 'leader' | 'stats' | 'doctor' | 'leftovers' | 'installation' | 'homes'> {
  const { store, leaderStore, runtime, classes, installation } = options;
  const sources = { classes, installation, homesDir: '/homes' };
  const { signal } = new AbortController();
  const homes = { all: async () => [], of: async () => null, asked: () => {} };
  return {
    installation,
    homes: { path: '/homes', names: async () => [] },
    planner: createPlanner({
      store: { read: (user) => fromStore(store.read(user)), users: () => fromStore(store.users()) },
      vantage: () => fromStore(standIn({ runtime, leaderStore, sources })),
    }),
    leader: { leads: () => false, report: () => leaderStore.report() },
    stats: new StatsCollector({ runtime: () => runtime, homes, classes, installation, clock: systemClock, signal }),
    doctor: {
      examine: async () => ({ version, consoleOrigin: 'http://127.0.0.1:3922', items: [] }),
    },
    leftovers: {
      list: async () => ({ digest: '', items: [], notLooked: [] }),
      clear: async () => {
        throw new ProblemError('leftover-changed', 'nothing is left');
      },
    },
  };
}
