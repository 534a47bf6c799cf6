import { EngineError } from '#shared/faults.ts';
import { type Room, unlimited } from '../capacity/capacity.ts';
import type { BoxRuntime } from '../runtime/port.ts';
import type { LeaderStore } from '../store/leader-store.ts';
import type { Sources } from './gather.ts';
import { untouchedPacer } from './pacer.ts';
import type { Vantage } from './planner.ts';

/**
 * What a leader that began at this moment would stand on: no work of its own under way, nothing remembered of commands, and time
 * to grant where Redis is not trusted; but of idle reaps no more than the one that leads may begin. A process that does not lead
 * answers from here what a pass would do.
 */
export async function standIn(options: {
  /** null = the engine was not reached yet, since this process started */
  runtime: BoxRuntime | null;
  leaderStore: Pick<LeaderStore, 'trusted' | 'report'>;
  /** who has a place, as far as Redis tells; none: nobody limits anything */
  room?: () => Promise<Room>;
  sources: Omit<Sources, 'runtime' | 'operations'>;
}): Promise<Vantage> {
  const { leaderStore } = options;
  const [isTrusted, { holder, loop }, capacity] = await Promise.all([
    leaderStore.trusted(),
    leaderStore.report(),
    options.room?.() ?? unlimited,
  ]);
  const amnesty = isTrusted ? null : untrusted;
  // What a leader that is gone has reaped, nobody remembers.
  const pacer = holder === '' || loop === null ? untouchedPacer : loop.pacer;
  return {
    sources: { ...options.sources, runtime: options.runtime ?? unreachedEngine, operations: noOperations },
    stateOf: (_user, listed) => ({ listed, thorough: false, last: null, amnesty, capacity, pacedMs: pacer.waitMs }),
    pacer,
  };
}

const untrusted = { id: 'stand-in', cause: 'amnesty: Redis is not trusted yet' };

const noOperations: Sources['operations'] = { pullOf: () => null, wasPulled: () => false, stopping: () => [] };

const unreached = async (): Promise<never> => {
  const message = 'this process has not reached the container engine yet';
  throw new EngineError({ operation: 'connect', kind: 'unreachable', status: null, message });
};

/** In place of an engine that was not reached yet. */
export const unreachedEngine: Sources['runtime'] & Pick<BoxRuntime, 'stats' | 'homeUse'> = {
  ...{ list: unreached, observe: unreached, image: unreached, home: unreached },
  ...{ countExecs: unreached, stats: unreached, homeUse: unreached },
};
