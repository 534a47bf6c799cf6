import { systemClock } from '#shared/clock.ts';
import { InstallationId } from '#shared/identity.ts';
import { simCommands } from '../support/sim-engine.ts';
import { createSimRuntime, simProbes } from '../support/sim-runtime.ts';
import { boxRuntimeContract } from './box-runtime.ts';
import type { RuntimeHarness } from './box-runtime-harness.ts';

boxRuntimeContract('the simulated runtime', makeSimHarness);

async function makeSimHarness(): Promise<RuntimeHarness> {
  const installation = InstallationId.parse('sim');
  const runtime = createSimRuntime({ installation, clock: systemClock });
  const { engine, homes } = runtime;
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
    probes: { succeeds: ['sim:succeeds'], fails: [simProbes.fails], hangs: [simProbes.hangs] },
    hands: {
      kill: async (id) => engine.kill(engine.container(byHand, id)),
      pause: async (id) => engine.pause(byHand, id),
      rename: async (id, name) => engine.rename(byHand, id, name),
      async removeByForce(id) {
        engine.kill(engine.container(byHand, id));
        engine.remove(byHand, id);
      },
      async createForeign(name) {
        const labels = { installation: '', role: '', user: '', generation: 0 };
        return engine.create(byHand, { name, ...labels, imageId: image.id, spec: null }).id;
      },
      async startExec(id) {
        engine.runsFor(byHand, id).execs += 1;
      },
      makeHome: async (user) => void homes.set(user, 0),
      linkHome: async (user) => void homes.set(user, 'link'),
    },
    dispose: async () => {},
  };
}
