import { type InstallationId, label } from '#shared/identity.ts';
import type { CreateBox } from './port.ts';

/** What a box's PID 1 prints is kept for whoever asks why it died; anything in the box may write there, so it is bounded. */
const boundedLog = { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } };

/**
 * The body of `POST /containers/create` for a box. Everything that an image could set for its containers is set here, so
 * that the class alone decides: entrypoint, stop signal, health check (which would run execs in the box).
 */
export function createBodyOf(installation: InstallationId, { user, generation, spec }: CreateBox): object {
  return {
    Image: spec.imageId,
    // The whole command as the entrypoint: an empty one would be filled from the image by some engines.
    Entrypoint: spec.command,
    Cmd: [],
    User: `${spec.uid}:${spec.gid}`,
    WorkingDir: spec.homeTarget,
    Hostname: hostnameOf(user),
    Env: Object.entries(spec.environment).map(([name, value]) => `${name}=${value}`),
    Tty: false,
    OpenStdin: false,
    StopSignal: 'SIGTERM',
    StopTimeout: Math.ceil(spec.stopGraceMs / 1000),
    Healthcheck: { Test: ['NONE'] },
    Labels: {
      [label.installation]: installation,
      [label.role]: 'box',
      [label.user]: user,
      [label.class]: spec.class,
      [label.generation]: String(generation),
      [label.spec]: JSON.stringify(spec),
    },
    HostConfig: {
      Init: true,
      RestartPolicy: { Name: 'no' },
      NetworkMode: spec.network,
      Memory: spec.memoryBytes,
      MemorySwap: spec.memoryBytes,
      NanoCpus: Math.round(spec.cpus * 1e9),
      PidsLimit: spec.pids,
      CapDrop: ['ALL'],
      CapAdd: spec.capabilities,
      SecurityOpt: spec.noNewPrivileges ? ['no-new-privileges'] : [],
      LogConfig: boundedLog,
      Mounts: [bindMount(spec.homeSource, spec.homeTarget, false)],
    },
  };
}

/** A mount of type `bind` is refused when the source is missing; the older `Binds` would make it, as root's. */
export function bindMount(source: string, target: string, readOnly: boolean): object {
  return {
    Type: 'bind',
    Source: source,
    Target: target,
    ReadOnly: readOnly,
    BindOptions: { Propagation: 'rprivate' },
  };
}

/** A user name may hold dots and underscores, a host name's label may not, nor end in a dash. */
function hostnameOf(user: string): string {
  return user.replaceAll(/[._]/g, '-').replace(/-+$/, '');
}
