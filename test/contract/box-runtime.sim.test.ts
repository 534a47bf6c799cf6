import { systemClock } from '#shared/clock.ts';
import { InstallationId } from '#shared/identity.ts';
import { SimShells } from '../sim/exec-link.ts';
import { simCommands } from '../support/sim-engine.ts';
import { createSimRuntime, simProbes } from '../support/sim-runtime.ts';
import { boxRuntimeContract } from './box-runtime.ts';
import { boxRuntimeStates } from './box-runtime-states.ts';
import type { RuntimeHarness } from './box-runtime-harness.ts';

boxRuntimeContract('the simulated runtime', makeSimHarness);
boxRuntimeStates('the simulated runtime', makeSimHarness);

async function makeSimHarness(): Promise<RuntimeHarness> {
  const installation = InstallationId.parse('sim');
  const runtime = createSimRuntime({ installation, clock: systemClock });
  const { engine, homes } = runtime;
  const shells = new SimShells(engine);
  const image = { reference: 'spoonbox/box:latest', id: `sha256:${'1'.repeat(64)}` };
  engine.images.set(image.reference, image.id);
  const byHand = 'by hand';
  return {
    runtime,
    installation,
    image,
    homesDir: '/homes',
    commands: {
      'ends-on-term': ['sim:ends-on-term'],
      deaf: [simCommands.deaf],
      'exits-with-3': [simCommands.exitsWith3],
    },
    // A simulated box has its trap from its start, and hears at once.
    probes: {
      ...{ succeeds: ['sim:succeeds'], listens: ['sim:succeeds'], heard: ['sim:succeeds'] },
      ...{ fails: [simProbes.fails], hangs: [simProbes.hangs] },
    },
    hands: {
      kill: async (id) => engine.kill(engine.container(byHand, id)),
      pause: async (id) => engine.pause(byHand, id),
      rename: async (id, name) => engine.rename(byHand, id, name),
      async removeByForce(id) {
        engine.kill(engine.container(byHand, id));
        engine.remove(byHand, id);
      },
      async createForeign(name) {
        return engine.create(byHand, { ...foreign(name), imageId: image.id }).id;
      },
      async startExec(id) {
        engine.runsFor(byHand, id).execs += 1;
      },
      startShell: async (id, session) => void shells.open(id, session),
      makeHome: async (user) => void homes.set(user, 0),
      linkHome: async (user) => void homes.set(user, 'link'),
      async beginCreate(name) {
        const finish = engine.beginCreate(byHand, { ...foreign(name), imageId: image.id });
        return async () => finish().id;
      },
      async beginRemoval(id) {
        const container = engine.container(byHand, id);
        engine.kill(container);
        engine.becomes(container, 'removing');
        return async () => {
          engine.becomes(container, 'exited');
          engine.remove(byHand, id);
        };
      },
      async blockRemoval(id) {
        const container = engine.container(byHand, id);
        container.unremovable = true;
        return async () => {
          container.unremovable = false;
        };
      },
      async createRestarting(name) {
        const container = engine.create(byHand, { ...foreign(name), imageId: image.id });
        container.exitCode = 3;
        engine.becomes(container, 'restarting');
        return container.id;
      },
    },
    dispose: async () => {},
  };
}

function foreign(name: string) {
  return { name, installation: '', role: '', user: '', generation: 0, spec: null };
}
