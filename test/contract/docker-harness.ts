import { systemClock } from '#shared/clock.ts';
import { createLogger } from '#shared/log.ts';
import { createDockerRuntime, type DockerRuntimeOptions } from '../../controller/src/runtime/docker-runtime.ts';
import { boxImage, createDockerWorld, type DockerWorld, handsOf } from '../support/docker.ts';
import type { RuntimeHarness } from './box-runtime-harness.ts';
import { slowHandsOf } from './docker-slow-hands.ts';

/** The Docker runtime in a world of its own on the real engine. */
export interface DockerHarness extends RuntimeHarness {
  readonly world: DockerWorld;
  readonly options: DockerRuntimeOptions;
  readonly hands: ReturnType<typeof handsOf> & RuntimeHarness['hands'];
}

export async function makeDockerHarness(): Promise<DockerHarness> {
  const world = await createDockerWorld();
  const { docker, installation, workdir, boxImageId } = world;
  const log = createLogger({ name: 'test', level: 'warn' });
  const options = { docker: docker.modem, installation, workdir, hostWorkdir: workdir, clock: systemClock, log };
  return {
    world,
    options,
    runtime: await createDockerRuntime(options),
    installation,
    image: { reference: boxImage, id: boxImageId },
    homesDir: `${workdir}/homes`,
    commands: {
      'ends-on-term': ['/bin/sh', '-c', 'trap "exit 0" TERM; touch /tmp/listens; while :; do sleep 60 & wait; done'],
      deaf: ['/bin/sh', '-c', 'trap "touch /tmp/heard" TERM; touch /tmp/listens; while :; do sleep 60 & wait; done'],
      'exits-with-3': ['/bin/sh', '-c', 'exit 3'],
    },
    probes: {
      succeeds: ['/bin/sh', '-c', ':'],
      fails: ['/bin/sh', '-c', 'echo not ready >&2; echo last; exit 4'],
      hangs: ['sleep', '60'],
      listens: ['/bin/sh', '-c', 'until [ -e /tmp/listens ]; do sleep 0.1; done'],
      heard: ['/bin/sh', '-c', 'until [ -e /tmp/heard ]; do sleep 0.1; done'],
    },
    hands: { ...handsOf(world), ...slowHandsOf(world) },
    dispose: () => world.dispose(),
  };
}
