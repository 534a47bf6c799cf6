import { type ComposeInstallation, runIn } from './compose-installation.ts';
import { testLabel } from './docker.ts';

/** A container like that of a service, on its networks, which differs in what somebody got wrong. */
export interface Beside extends AsyncDisposable {
  /** on a network of the project, which this host reaches */
  readonly address: string;
  run(...command: string[]): Promise<{ code: number | null; out: string; err: string }>;
  logs(): Promise<string>;
  /** Waits until its process has ended; its exit code. */
  ended(): Promise<number>;
}

export interface Differences {
  /** null: it is not there */
  readonly environment?: Readonly<Record<string, string | null>>;
  /** target → `source:target` and its options; in the place of a mount that has this target, or beside the others */
  readonly binds?: Readonly<Record<string, string>>;
  /** the port that it listens on → the one of this host where that is published; else nothing is */
  readonly port?: readonly [inside: number, outside: number];
}

export async function startBeside(
  { docker: world, inspect }: Pick<ComposeInstallation, 'docker' | 'inspect'>,
  service: string,
  { environment = {}, binds = {}, port }: Differences,
): Promise<Beside> {
  const { docker, installation } = world;
  const { Config, HostConfig, Image, NetworkSettings } = await inspect(service);
  const kept = Config.Env.filter((line) => environment[line.split('=', 1)[0] ?? ''] === undefined);
  const given = Object.entries(environment).flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`]));
  const mounts = (HostConfig.Binds ?? []).filter((bind) => binds[bind.split(':')[1] ?? ''] === undefined);
  const published = port === undefined ? {} : { [`${port[0]}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: `${port[1]}` }] };
  const { ReadonlyRootfs, Tmpfs, CapDrop, CapAdd, SecurityOpt, GroupAdd, NetworkMode } = HostConfig;
  const container = await docker.createContainer({
    ...{ Image, Cmd: Config.Cmd, User: Config.User, Env: [...kept, ...given] },
    Labels: { [testLabel]: installation },
    ExposedPorts: Object.fromEntries(Object.keys(published).map((name) => [name, {}])),
    HostConfig: {
      ...{ ReadonlyRootfs, Tmpfs, CapDrop, CapAdd, SecurityOpt, GroupAdd, NetworkMode },
      Binds: [...mounts, ...Object.values(binds)],
      PortBindings: published,
    },
  });
  let address: string;
  try {
    for (const name of Object.keys(NetworkSettings.Networks)) {
      if (name !== NetworkMode) await docker.getNetwork(name).connect({ Container: container.id });
    }
    await container.start();
    const networks = Object.values((await container.inspect()).NetworkSettings.Networks);
    address = networks.find(({ IPAddress }) => IPAddress !== '')?.IPAddress ?? '';
  } catch (error) {
    await container.remove({ force: true, v: true });
    throw error;
  }
  return {
    address,
    run: (...command) => runIn(docker, container, command),
    logs: async () => String(await container.logs({ stdout: true, stderr: true })),
    ended: async () => Number((await container.wait()).StatusCode),
    [Symbol.asyncDispose]: async () => void (await container.remove({ force: true, v: true })),
  };
}
