import { createInterface } from 'node:readline';
import Docker from 'dockerode';
import { z } from 'zod';
import { codeOf, Refusal, reasonOf } from './refusal.ts';

const absentCodes = ['ENOENT', 'ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH'];
const answerTimeoutMs = 5_000;
/** A registry that says nothing for this long is taken for unreachable. */
const silentPullMs = 60_000;

export const defaultSocket = '/var/run/docker.sock';

export interface EngineFacts {
  readonly version: string;
  readonly apiVersion: string;
  readonly minApiVersion: string;
  readonly arch: string;
  readonly rootDir: string;
}

export type EngineAnswer =
  | { readonly kind: 'answers'; readonly facts: EngineFacts }
  /** Nobody listens there. */
  | { readonly kind: 'absent'; readonly reason: string }
  /** The socket is there and refuses this user. */
  | { readonly kind: 'forbidden' }
  /** Something listens, and it does not answer as an engine does. */
  | { readonly kind: 'broken'; readonly reason: string };

export interface Build {
  readonly dir: string;
  /** of `dir`: what is sent, `.dockerignore` applied */
  readonly files: readonly string[];
  readonly tag: string;
  /** below `dir`; `Dockerfile` by default */
  readonly dockerfile?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface ContainerWish {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly user: string;
  readonly bind: string;
  readonly containerPort: number;
  readonly hostPort: number;
}

const Version = z.object({
  Version: z.string(),
  ApiVersion: z.string(),
  MinAPIVersion: z.string().default('1.12'),
  Arch: z.string(),
});
const Info = z.object({ DockerRootDir: z.string().default('') });
/** Newest layer first. */
const History = z.array(z.object({ CreatedBy: z.string() }));
/** What pull, build and import stream: one JSON object a line. */
const StreamEvent = z.object({
  stream: z.string().optional(),
  status: z.string().optional(),
  id: z.string().optional(),
  progress: z.string().optional(),
  error: z.string().optional(),
});
type StreamEvent = z.infer<typeof StreamEvent>;

/** The engine as the deploy scripts need it; the only file of theirs that knows the client library. */
export class Engine {
  readonly address: string;
  /** True when its files are this machine's files. */
  readonly isLocal: boolean;
  readonly #docker = new Docker();
  /** Its time limit would also cut builds and pulls short, so it only asks. */
  readonly #impatient = new Docker({ timeout: answerTimeoutMs });

  constructor(dockerHost: string | undefined) {
    this.address = dockerHost ?? `unix://${defaultSocket}`;
    this.isLocal = this.address.startsWith('unix://');
  }

  async ask(): Promise<EngineAnswer> {
    try {
      const [version, info] = await Promise.all([this.#impatient.version(), this.#impatient.info()]);
      const { Version: name, ApiVersion, MinAPIVersion, Arch } = Version.parse(version);
      const rootDir = Info.parse(info).DockerRootDir;
      return {
        kind: 'answers',
        facts: { version: name, apiVersion: ApiVersion, minApiVersion: MinAPIVersion, arch: Arch, rootDir },
      };
    } catch (error) {
      if (codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM') return { kind: 'forbidden' };
      if (absentCodes.includes(codeOf(error) ?? '')) return { kind: 'absent', reason: reasonOf(error) };
      return { kind: 'broken', reason: reasonOf(error) };
    }
  }

  async hasImage(name: string): Promise<boolean> {
    try {
      await this.#docker.getImage(name).inspect();
      return true;
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw error;
    }
  }

  /** '' = the image has no such label. */
  async imageLabel(name: string, label: string): Promise<string> {
    return (await this.#docker.getImage(name).inspect()).Config.Labels?.[label] ?? '';
  }

  /** Ids of images without a name whose last layer is this label; images that were made from such a one have the label, too. */
  async namelessImages(label: string, value: string): Promise<string[]> {
    const filters = JSON.stringify({ dangling: ['true'], label: [`${label}=${value}`] });
    const found = await this.#docker.listImages({ filters });
    const own: string[] = [];
    for (const { Id } of found) {
      const history = History.safeParse(await this.#docker.getImage(Id).history().catch(ignoring(404)));
      if (history.data?.[0]?.CreatedBy.includes(`LABEL ${label}=`)) own.push(Id);
    }
    return own;
  }

  /** With its layers that no other image has. What a container or an image is made of stays. */
  async removeUnused(id: string): Promise<void> {
    await this.#docker.getImage(id).remove().catch(ignoring(404, 409));
  }

  async pull(name: string, onProgress: (text: string) => void, signal: AbortSignal): Promise<void> {
    const silence = new AbortController();
    const giveUp = (): void => silence.abort(new Refusal(`the registry said nothing for ${silentPullMs / 1_000} s`));
    let timer = setTimeout(giveUp, silentPullMs);
    try {
      const stop = AbortSignal.any([signal, silence.signal]);
      const stream = await this.#docker.pull(name, { abortSignal: stop });
      await follow(stream, stop, (event) => {
        clearTimeout(timer);
        timer = setTimeout(giveUp, silentPullMs);
        onProgress([event.id, event.status, event.progress].filter(Boolean).join(' '));
      });
    } catch (error) {
      throw silence.signal.aborted ? silence.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Builds a directory with a Dockerfile, with the builder that every engine has. */
  async build(
    { dir, files, tag, dockerfile, buildArgs, labels }: Build,
    onProgress: (text: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const stream = await this.#docker.buildImage(
      { context: dir, src: [...files] },
      {
        t: tag,
        rm: true,
        forcerm: true,
        abortSignal: signal,
        ...(dockerfile === undefined ? {} : { dockerfile }),
        ...(buildArgs === undefined ? {} : { buildargs: { ...buildArgs } }),
        ...(labels === undefined ? {} : { labels: { ...labels } }),
      },
    );
    await follow(stream, signal, (event) => {
      const line = event.stream?.trim() ?? event.status ?? '';
      if (line !== '') onProgress(line);
    });
  }

  /** Makes an image of a root file system in a tar stream. */
  async importImage(
    tar: NodeJS.ReadableStream,
    name: { readonly repo: string; readonly tag: string },
    changes: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const stream = await this.#docker.importImage(tar, { ...name, changes: [...changes], abortSignal: signal });
    await follow(stream, signal, () => undefined);
  }

  /** Starts the container of this name; makes it anew, because its settings may have changed since. */
  async startAnew(wish: ContainerWish): Promise<void> {
    await this.stopAndRemove(wish.name);
    const container = await this.#docker.createContainer({
      name: wish.name,
      Image: wish.image,
      Cmd: [...wish.command],
      User: wish.user,
      ExposedPorts: { [`${wish.containerPort}/tcp`]: {} },
      HostConfig: {
        Binds: [wish.bind],
        PortBindings: { [`${wish.containerPort}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: String(wish.hostPort) }] },
      },
    });
    await container.start();
  }

  async stopAndRemove(name: string): Promise<void> {
    const container = this.#docker.getContainer(name);
    for (const act of [() => container.stop(), () => container.remove()]) {
      try {
        await act();
      } catch (error) {
        // 304: stopped already. 404: gone already.
        if (statusOf(error) !== 304 && statusOf(error) !== 404) throw error;
      }
    }
  }

  async isRunning(name: string): Promise<boolean> {
    const running = await this.#docker.listContainers({ filters: JSON.stringify({ name: [`^/${name}$`] }) });
    return running.length > 0;
  }

  async runningNames(): Promise<readonly string[]> {
    const running = await this.#docker.listContainers();
    return running.map((container) => container.Names[0]?.slice(1) ?? container.Id);
  }
}

async function follow(
  stream: NodeJS.ReadableStream,
  signal: AbortSignal,
  onEvent: (event: StreamEvent) => void,
): Promise<void> {
  for await (const line of createInterface({ input: stream, signal })) {
    if (line.trim() === '') continue;
    const event = StreamEvent.parse(JSON.parse(line));
    if (event.error !== undefined) throw new Refusal(event.error.trim().replaceAll('\n', ' '));
    onEvent(event);
  }
  signal.throwIfAborted();
}

function ignoring(...statuses: readonly number[]): (error: unknown) => void {
  return (error) => {
    if (!statuses.includes(statusOf(error) ?? 0)) throw error;
  };
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;
}
