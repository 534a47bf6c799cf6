import type Docker from 'dockerode';
import type { DockerWorld } from '../support/docker.ts';
import type { RuntimeHarness } from './box-runtime-harness.ts';

/** How the real engine is brought into states that last for a moment only, and kept there for long enough to look. */

type SlowHands = Pick<RuntimeHarness['hands'], 'beginCreate' | 'beginRemoval' | 'blockRemoval' | 'createRestarting'>;

const lookEveryMs = 10;
const stateWithinMs = 60_000;
/** So long a box whose removal is watched makes files; about as long the engine takes to unlink them. */
const fillS = 1.5;
/** The engine waits 100 ms before the first restart, and twice as long before each one that follows: here 3.2 s. */
const restartsSeen = 5;
const marks = (world: DockerWorld) => ({ 'dev.spoonbox.test': world.installation });

export function slowHandsOf(world: DockerWorld): SlowHands {
  const { docker, boxImageId } = world;

  return {
    /** A volume without a name gets a copy of what the image has at its place, before the container is there. */
    async beginCreate(name) {
      const created = docker.createContainer({
        name,
        Image: boxImageId,
        Labels: marks(world),
        Volumes: { '/usr/lib': {} },
      });
      created.catch(() => {});
      await untilListed(docker, name, 'created');
      return async () => (await created).id;
    },

    async beginRemoval(id) {
      const container = docker.getContainer(id);
      const fill = `mkdir /tmp/way && cd /tmp/way && seq 1000000 | timeout ${fillS} split -l 1 -a 5; true`;
      await runToEnd(docker, id, ['/bin/sh', '-c', fill]);
      const { Name } = await container.inspect();
      await container.kill();
      await container.wait();
      const removed = container.remove();
      removed.catch(() => {});
      await untilListed(docker, Name.slice(1), 'removing');
      return async () => void (await removed);
    },

    /** A file that cannot be unlinked, in the layer of the container as the host sees it; such layers are overlay2's. */
    async blockRemoval(id) {
      const inspected: { GraphDriver?: { Name: string; Data?: Record<string, string> } | null } = await docker
        .getContainer(id)
        .inspect();
      const layer = inspected.GraphDriver?.Name === 'overlay2' ? inspected.GraphDriver.Data?.UpperDir : undefined;
      if (layer === undefined) return null;
      const lock = (how: '+i' | '-i'): Promise<boolean> =>
        runOnce(world, layer, `touch /layer/way 2>/dev/null; chattr ${how} /layer/way`);
      return (await lock('+i')) ? async () => void (await lock('-i')) : null;
    },

    async createRestarting(name) {
      const container = await docker.createContainer({
        name,
        Image: boxImageId,
        Entrypoint: ['/bin/sh', '-c', 'exit 3'],
        Labels: marks(world),
        HostConfig: { RestartPolicy: { Name: 'always' } },
      });
      await container.start();
      await until(async () => {
        const { State, RestartCount } = await container.inspect();
        return State.Restarting && RestartCount >= restartsSeen;
      }, `${name} is restarted again and again`);
      return container.id;
    },
  };
}

async function untilListed(docker: Docker, name: string, state: string): Promise<void> {
  await until(async () => {
    const listed = await docker.listContainers({ all: true, filters: { name: [name] } });
    return listed.some(({ Names, State }) => Names.includes(`/${name}`) && State === state);
  }, `${name} is listed as ${state}`);
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const giveUpAt = performance.now() + stateWithinMs;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) throw new Error(`it never came so far that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

async function runToEnd(docker: Docker, id: string, command: string[]): Promise<void> {
  const exec = await docker.getContainer(id).exec({ Cmd: command, AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({ hijack: true, stdin: false });
  for await (const _chunk of stream.resume());
  const { ExitCode } = await exec.inspect();
  if (ExitCode !== 0) throw new Error(`${command.join(' ')} ended with ${ExitCode}`);
}

/** As root, with one folder of the host and the right to lock files; true when it ended with 0. */
async function runOnce(world: DockerWorld, folder: string, script: string): Promise<boolean> {
  const container = await world.docker.createContainer({
    Image: world.boxImageId,
    User: '0:0',
    Entrypoint: ['/bin/sh', '-c', script],
    Labels: marks(world),
    HostConfig: {
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      CapAdd: ['LINUX_IMMUTABLE', 'FOWNER', 'DAC_OVERRIDE'],
      Binds: [`${folder}:/layer`],
    },
  });
  try {
    await container.start();
    return (await container.wait()).StatusCode === 0;
  } finally {
    await container.remove({ force: true });
  }
}
