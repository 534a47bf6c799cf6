import { EngineError } from '#shared/faults.ts';
import { boxNameOf } from '#shared/identity.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import type { SimRuntime } from '../support/sim-runtime.ts';

/** What may be odd with the machine that the engine runs on; faults turn these, and turn them back. */
export interface Oddities {
  /** an image that was pulled is not there */
  pullsVanish: boolean;
  /** a container ends as soon as it is started */
  startsDie: boolean;
  probesFail: boolean;
  /** every create is refused, as while an earlier one is still in progress and cannot be inspected yet */
  createsConflict: boolean;
  /** homes that the engine makes cannot be seen from the controller */
  homesHidden: boolean;
  /** the file system does not allow chown */
  chownFails: boolean;
}

export const noOddities: Oddities = {
  pullsVanish: false,
  startsDie: false,
  probesFail: false,
  createsConflict: false,
  homesHidden: false,
  chownFails: false,
};

/** The simulated engine with its oddities of the moment. */
export function oddRuntime(runtime: SimRuntime, odd: Oddities): BoxRuntime {
  return {
    ...runtime,
    async pull(reference, onProgress, signal) {
      await runtime.pull(reference, onProgress, signal);
      if (odd.pullsVanish) runtime.engine.images.delete(reference);
    },
    async create(box, signal) {
      if (!odd.createsConflict) return await runtime.create(box, signal);
      const message = `Conflict. The container name "/${boxNameOf(box.user)}" is already in use`;
      throw new EngineError({ operation: 'create', kind: 'conflict', status: 409, message });
    },
    async start(id, signal) {
      await runtime.start(id, signal);
      const container = runtime.engine.containers.get(id);
      if (odd.startsDie && container !== undefined) runtime.engine.kill(container);
    },
    async probe(id, readiness, signal) {
      await runtime.probe(id, readiness, signal);
      if (!odd.probesFail) return;
      throw new EngineError({ operation: 'probe', kind: 'failed', status: null, message: 'not ready (exit code 4)' });
    },
    home: async (user) => (odd.homesHidden ? { state: 'absent' } : await runtime.home(user)),
    async ensureHome(user, owner, signal) {
      await runtime.ensureHome(user, owner, signal);
      if (odd.chownFails) runtime.homes.set(user, 0);
    },
  };
}
