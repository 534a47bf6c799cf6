import { randomBytes } from 'node:crypto';
import { lstat, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { connectDocker } from '#shared/docker.ts';
import { InstallationId, label, networkNameOf } from '#shared/identity.ts';

/** The real engine, for tests: a world of its own per test file, and what people do to containers by hand. */

/** `npm test` has made it; it has a shell. */
export const boxImage = process.env.SPOON_BOX_IMAGE ?? 'spoonbox/box:latest';

export interface DockerWorld {
  readonly docker: Docker;
  readonly installation: InstallationId;
  readonly workdir: string;
  readonly boxImageId: string;
  /** those of this world's network name */
  networks(): Promise<{ Id: string; Created: string }[]>;
  removeContainers(): Promise<void>;
  /** Removes every container and network of this world, and its work directory. */
  dispose(): Promise<void>;
}

/** What people do by hand goes by dockerode, on the connection of our own processes: its `modem`. */
export async function dockerodeAt(dockerHost: string | null): Promise<Docker> {
  const docker = new Docker();
  docker.modem = await connectDocker(dockerHost);
  docker.modem.Promise = Promise;
  return docker;
}

/** On the engine at `dockerHost`, or on the one that all tests share. */
export async function createDockerWorld(dockerHost = process.env.DOCKER_HOST ?? null): Promise<DockerWorld> {
  const docker = await dockerodeAt(dockerHost);
  const installation = InstallationId.parse(`test-${randomBytes(5).toString('hex')}`);
  const workdir = await mkdtemp(join(tmpdir(), 'spoonbox-test-'));
  const { Id: boxImageId } = await docker.getImage(boxImage).inspect();

  async function networks(): Promise<{ Id: string; Created: string }[]> {
    const name = networkNameOf(installation);
    const found = await docker.listNetworks({ filters: { name: [name] } });
    return found.filter((network) => network.Name === name);
  }
  async function removeContainers(): Promise<void> {
    await removeLabelled(docker, `${label.installation}=${installation}`);
    await removeLabelled(docker, `${testLabel}=${installation}`);
  }
  return {
    docker,
    installation,
    workdir,
    boxImageId,
    networks,
    removeContainers,
    async dispose() {
      await removeContainers();
      for (const { Id } of await networks()) await removeNetwork(docker, Id);
      await rm(workdir, { recursive: true, force: true });
    },
  };
}

const networkTries = 50;
const networkRetryMs = 100;

/** Marks what a test made that is not Spoonbox's, so that it can be removed again. */
export const testLabel = 'dev.spoonbox.test';

/** What people do by hand, with `docker` and a shell. */
export function handsOf({ docker, installation, workdir, boxImageId }: DockerWorld) {
  const marked = { [testLabel]: installation };
  return {
    async kill(id: string): Promise<void> {
      await docker.getContainer(id).kill();
    },
    async pause(id: string): Promise<void> {
      await docker.getContainer(id).pause();
    },
    async rename(id: string, name: string): Promise<void> {
      await docker.getContainer(id).rename({ name });
    },
    async removeByForce(id: string): Promise<void> {
      await docker.getContainer(id).remove({ force: true });
    },
    /** A container of somebody else's, not started. `binds`: `source:target`. */
    async createForeign(name: string, binds: readonly string[] = []): Promise<string> {
      const container = await docker.createContainer({
        name,
        Image: boxImageId,
        Cmd: ['sleep', '60'],
        Labels: marked,
        // Without an init it would hear no TERM.
        HostConfig: { Init: true, Binds: [...binds] },
      });
      return container.id;
    },
    /** Starts a command in the container and leaves it running. */
    async startExec(id: string, command: string[]): Promise<void> {
      const exec = await docker.getContainer(id).exec({ Cmd: command, Tty: false });
      await exec.start({ Detach: true, Tty: false });
    },
    /** A shell on a terminal of its own, as a gateway starts it; with `command`, that in its place. */
    async startShell(id: string, session: string, command = 'sleep 601; exec sleep 602'): Promise<void> {
      const exec = await docker.getContainer(id).exec({
        Cmd: ['/bin/sh', '-c', command],
        Env: [`SPOONBOX_SESSION=${session}`],
        AttachStdin: true,
        AttachStdout: true,
        Tty: true,
      });
      await exec.start({ Detach: true, Tty: true });
    },
    /** Runs a command in the container to its end, and answers what it printed and its exit code. */
    async run(id: string, command: string[]): Promise<{ exitCode: number; output: string }> {
      const exec = await docker.getContainer(id).exec({
        Cmd: command,
        AttachStdout: true,
        AttachStderr: true,
        Tty: true,
      });
      const stream = await exec.start({ hijack: true, stdin: false, Tty: true });
      let output = '';
      for await (const chunk of stream) output += String(chunk);
      const { ExitCode } = await exec.inspect();
      return { exitCode: ExitCode ?? -1, output: output.trim() };
    },
    async addressOf(id: string, network: string): Promise<string> {
      const { NetworkSettings } = await docker.getContainer(id).inspect();
      return NetworkSettings.Networks[network]?.IPAddress ?? '';
    },
    async makeHome(user: string): Promise<void> {
      await mkdir(join(workdir, 'homes', user), { recursive: true });
    },
    async linkHome(user: string, target: string): Promise<void> {
      await symlink(target, join(workdir, 'homes', user));
    },
    async ownerOf(path: string): Promise<number> {
      return (await lstat(path)).uid;
    },
  };
}
export type Hands = ReturnType<typeof handsOf>;

async function removeLabelled(docker: Docker, withLabel: string): Promise<void> {
  const containers = await docker.listContainers({ all: true, filters: { label: [withLabel] } });
  for (const { Id } of containers) await docker.getContainer(Id).remove({ force: true, v: true });
}

/**
 * A busy engine takes a container's endpoint from its network a moment after the container. Docker 20.10 may also lose count
 * of endpoints under many starts at once, and then keeps the empty network until it is restarted itself: that is told.
 */
async function removeNetwork(docker: Docker, id: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await docker.getNetwork(id).remove();
      return;
    } catch (error) {
      if (!String(error).includes('has active endpoints')) throw error;
      if (tries === networkTries) {
        process.stderr.write(
          `a test's network stays behind, because the engine would not remove it: ${String(error)}\n`,
        );
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, networkRetryMs));
    }
  }
}
