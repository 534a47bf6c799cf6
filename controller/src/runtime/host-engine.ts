import { z } from 'zod';
import { connectDocker } from '#shared/docker.ts';
import { type InstallationId, label } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { deadCheckouts } from './checkouts.ts';
import { viewOfListed } from './container-view.ts';
import { anyAnswer, createEngine, defaultTimeouts } from './engine.ts';
import { countExecs } from './exec.ts';
import { runHelper } from './helper.ts';
import { type DiskRoom, type HostContainer, type HostEngine, liveStates } from './host-port.ts';
import { createImages } from './images.ts';
import { emptyTrash, throwAway } from './trash.ts';
import { verifyWorkdir } from './verify-workdir.ts';

export interface HostEngineOptions {
  /** null = the usual socket */
  readonly dockerHost: string | null;
  readonly installation: InstallationId;
  /** as this process sees it, and as the engine does */
  readonly workdir: string;
  readonly hostWorkdir: string;
  readonly log: Logger;
}

/** What an engine takes as a container's name. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
/** Of `stat -f`: block size, blocks, those that are free for users, files, files that are free. */
const roomFormat = '%S %b %a %c %d';

/** The Docker engine's machine. Rejects with a StartError where no engine answers that can be used. */
export async function connectHostEngine(options: HostEngineOptions): Promise<HostEngine> {
  const { installation, workdir, hostWorkdir, log } = options;
  const docker = await connectDocker(options.dockerHost);
  const engine = createEngine(docker, defaultTimeouts);
  const helperRun = { engine, installation, log };
  const images = createImages(engine);
  const { readMs, changeMs, stopMarginMs } = engine.timeouts;

  async function list(filters: object, signal: AbortSignal): Promise<HostContainer[]> {
    const query = { all: true, filters: JSON.stringify(filters) };
    const request = { method: 'GET', path: '/containers/json', query } as const;
    return (await engine.ask('hostContainers', request, z.array(ListedOnHost), readMs, signal)).map(hostView);
  }

  return {
    async about(signal) {
      const info = await engine.ask('about', { method: 'GET', path: '/info' }, EngineInfo, readMs, signal);
      const enforced = { memory: info.MemoryLimit, swap: info.SwapLimit, cpus: info.CpuCfsQuota, pids: info.PidsLimit };
      return {
        version: info.ServerVersion,
        memoryBytes: info.MemTotal,
        timeMs: Date.parse(info.SystemTime),
        dataRoot: info.DockerRootDir,
        unenforced: Object.entries(enforced).flatMap(([limit, isOn]) => (isOn === false ? [limit] : [])),
      };
    },
    image: (reference, signal) => images.look(reference, signal),
    verifyWorkdir: (image, signal) => verifyWorkdir({ docker, installation, workdir, hostWorkdir, image, log }, signal),
    async dataRoom(image, signal) {
      const command = ['stat', '-f', '-c', roomFormat, '/'];
      const helper = { operation: 'dataRoom', image, command, mounts: [], capabilities: [] };
      const { exitCode, lastLine } = await runHelper(helperRun, helper, signal);
      return exitCode === 0 ? roomOf(lastLine) : null;
    },
    async tryOut({ image, command, user }, signal) {
      // Programs keep caches in a home; this one has none.
      const environment = ['HOME=/tmp'];
      const helper = { operation: 'tryOut', image, command, user, environment, mounts: [], capabilities: [] };
      return await runHelper(helperRun, helper, signal);
    },
    containers: (signal) => list({}, signal),
    liveContainers: (signal) => list({ status: liveStates }, signal),
    async containerNamed(name, signal) {
      if (!namePattern.test(name)) return null;
      // A regular expression, for the engine.
      const found = await list({ name: [`^/?${name.replaceAll('.', '\\.')}$`] }, signal);
      return found.find((container) => container.name === name) ?? null;
    },
    async container(id, signal) {
      const found = await list({ id: [id] }, signal);
      return found.find((container) => container.id === id) ?? null;
    },
    countExecs: (id, signal) => countExecs(engine, id, signal),
    deadCheckouts: (asked, signal) => deadCheckouts(helperRun, hostWorkdir, asked, signal),

    async stop(id, signal) {
      // What the container itself says of its grace is the engine's to know: it waits for it, and answers late.
      const request = { method: 'POST', path: `/containers/${id}/stop` } as const;
      await engine.ask('stopLeftover', request, anyAnswer, changeMs + stopMarginMs, signal);
    },
    async remove(id, signal) {
      const request = { method: 'DELETE', path: `/containers/${id}`, query: { v: false, force: false } } as const;
      await engine.ask('removeLeftover', request, anyAnswer, changeMs, signal);
    },
    throwAway: (image, thrown, signal) => throwAway(helperRun, hostWorkdir, { image, ...thrown }, signal),
    emptyTrash: (image, as, signal) => emptyTrash(helperRun, hostWorkdir, { image, as }, signal),
  };
}

const EngineInfo = z.object({
  ServerVersion: z.string(),
  MemTotal: z.number(),
  SystemTime: z.string(),
  DockerRootDir: z.string(),
  MemoryLimit: z.boolean().optional(),
  SwapLimit: z.boolean().optional(),
  CpuCfsQuota: z.boolean().optional(),
  PidsLimit: z.boolean().optional(),
});

const ListedOnHost = z.object({
  Id: z.string(),
  Names: z.array(z.string()).nullish(),
  ImageID: z.string(),
  State: z.string(),
  Created: z.number(),
  Labels: z.record(z.string(), z.string()).nullish(),
  Mounts: z.array(z.object({ Source: z.string().default(''), Destination: z.string() })).nullish(),
});

function hostView(listed: z.infer<typeof ListedOnHost>): HostContainer {
  const labels = listed.Labels ?? {};
  const installation = labels[label.installation] ?? '';
  const box = installation === '' ? null : boxOf({ ...listed, Labels: labels }, installation);
  // A container that others link to has more names, which hold a second slash.
  const names = (listed.Names ?? []).map((name) => name.replace(/^\//, ''));
  return {
    id: listed.Id,
    name: names.find((name) => !name.includes('/')) ?? '',
    state: listed.State,
    createdAtS: listed.Created,
    installation,
    role: labels[label.role] ?? '',
    memoryBytes: box?.spec?.memoryBytes ?? 0,
    mounts: (listed.Mounts ?? []).map(({ Source, Destination }) => ({ source: Source, target: Destination })),
  };
}

type ListedContainer = Parameters<typeof viewOfListed>[0];

/** What is written on a container may be anything. */
function boxOf(listed: ListedContainer, installation: string): ReturnType<typeof viewOfListed> {
  try {
    return viewOfListed(listed, installation);
  } catch (error) {
    if (error instanceof z.ZodError) return null;
    throw error;
  }
}

function roomOf(line: string): DiskRoom | null {
  const [block = 0, blocks = 0, free = 0, files = 0, freeFiles = 0] = line.split(' ').map(Number);
  if (!(block > 0 && blocks > 0)) return null;
  return { freeBytes: block * free, totalBytes: block * blocks, freeFiles, totalFiles: files };
}
