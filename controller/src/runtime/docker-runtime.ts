import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'docker-modem';
import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import type { EngineRequest } from '#shared/docker.ts';
import { EngineError, StartError } from '#shared/faults.ts';
import { boxNameOf, type InstallationId, label, type UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { ContainerView } from '../box/observed.ts';
import { InspectedContainer, ListedContainer, viewOfInspected, viewOfListed } from './container-view.ts';
import { createBodyOf } from './create-body.ts';
import { anyAnswer, createEngine, defaultTimeouts, type EngineTimeouts, type OnEngineCall } from './engine.ts';
import { followEvents } from './events.ts';
import { countExecs, probe, runTool } from './exec.ts';
import { removeLeftHelpers } from './helper.ts';
import { homeUse } from './home-use.ts';
import { ensureHome, homesFolder, lookAtHome } from './home.ts';
import { createImages } from './images.ts';
import { ensureNetwork } from './network.ts';
import type { BoxRuntime } from './port.ts';
import { pullImage } from './pull.ts';
import { endSession, sessionMarks } from './sessions.ts';
import { readStats } from './stats.ts';
import { writeVault } from './vault.ts';

export interface DockerRuntimeOptions {
  /** of `connectDocker` */
  readonly docker: Docker;
  readonly installation: InstallationId;
  /** as this process sees it */
  readonly workdir: string;
  /** the same directory as the engine sees it */
  readonly hostWorkdir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** folder of the `config.json` that `docker login` writes; without it, registries are asked as nobody */
  readonly dockerConfig?: string;
  readonly timeouts?: Partial<EngineTimeouts>;
  readonly onCall?: OnEngineCall;
}

/** The engine of one Docker host. Makes the folder of the homes where it is missing. */
export async function createDockerRuntime(options: DockerRuntimeOptions): Promise<BoxRuntime> {
  const { installation, workdir, hostWorkdir, clock, log, dockerConfig = null } = options;
  const engine = createEngine(options.docker, { ...defaultTimeouts, ...options.timeouts }, options.onCall);
  const { readMs, changeMs, stopMarginMs } = engine.timeouts;
  const images = createImages(engine);
  const helperRun = { engine, installation, log };
  await makeHomesFolder(workdir);

  /** A change of one container, whose answer says nothing. */
  async function change(operation: string, request: EngineRequest, timeoutMs: number, signal: AbortSignal) {
    await engine.ask(operation, request, anyAnswer, timeoutMs, signal);
  }

  async function inspect(nameOrId: string, signal: AbortSignal): Promise<ContainerView | null> {
    const request = { method: 'GET', path: `/containers/${nameOrId}/json` } as const;
    try {
      return viewOfInspected(await engine.ask('observe', request, InspectedContainer, readMs, signal));
    } catch (error) {
      if (error instanceof EngineError && error.fault.kind === 'not-found') return null;
      throw error;
    }
  }

  async function listContainers(operation: string, labels: string[], signal: AbortSignal) {
    const query = { all: true, ...(labels.length > 0 && { filters: JSON.stringify({ label: labels }) }) };
    const request = { method: 'GET', path: '/containers/json', query } as const;
    return await engine.ask(operation, request, z.array(ListedContainer), readMs, signal);
  }

  function isOurRunningBox(view: ContainerView, user: UserName): boolean {
    const isOurs = view.installation === installation && view.role === 'box' && view.user === user;
    return isOurs && view.state === 'running';
  }

  return {
    async list(signal) {
      const all = await listContainers('list', [], signal);
      return all.map((listed) => viewOfListed(listed, installation)).filter((view) => view !== null);
    },

    async observe(user, { thorough }, signal) {
      const named = await inspect(boxNameOf(user), signal);
      if (named !== null && !thorough && isOurRunningBox(named, user)) return [named];
      const labels = [`${label.installation}=${installation}`, `${label.user}=${user}`];
      const listed = await listContainers('observe', labels, signal);
      const others = listed.filter(({ Id }) => Id !== named?.id);
      const views = await Promise.all(others.map(({ Id }) => inspect(Id, signal)));
      return [named, ...views].filter((view) => view !== null);
    },

    stats: (id, signal) => readStats(engine, id, signal),
    homeUse: (id, target, signal) => homeUse(engine, clock, { id, target }, signal),
    countExecs: (id, signal) => countExecs(engine, id, signal),
    image: (reference, signal) => images.look(reference, signal),
    forgetImages: () => images.forget(),
    home: (user) => lookAtHome(workdir, user),

    async create(box, signal) {
      const query = { name: boxNameOf(box.user) };
      const body = createBodyOf(installation, box);
      const request = { method: 'POST', path: '/containers/create', query, body } as const;
      try {
        const { Id: id } = await engine.ask('create', request, CreatedContainer, changeMs, signal);
        return { id };
      } catch (error) {
        // It may be the image that is gone: do not believe in it until its event comes.
        if (error instanceof EngineError && error.fault.kind === 'not-found') images.forget();
        throw error;
      }
    },
    start: (id, signal) => change('start', { method: 'POST', path: `/containers/${id}/start` }, changeMs, signal),
    unpause: (id, signal) => change('unpause', { method: 'POST', path: `/containers/${id}/unpause` }, changeMs, signal),
    rename: (id, name, signal) =>
      change('rename', { method: 'POST', path: `/containers/${id}/rename`, query: { name } }, changeMs, signal),
    probe: (id, readiness, signal) => probe(engine, clock, id, readiness, signal),
    runTool: (id, tool, signal) => runTool(engine, clock, id, tool, signal),
    writeVault: (id, vault, signal) => writeVault(engine, clock, id, vault, signal),
    stop(id, graceMs, signal) {
      const request = {
        method: 'POST',
        path: `/containers/${id}/stop`,
        query: { t: Math.ceil(graceMs / 1000) },
      } as const;
      return change('stop', request, graceMs + stopMarginMs, signal);
    },
    remove(id, signal) {
      const request = { method: 'DELETE', path: `/containers/${id}`, query: { v: false, force: false } } as const;
      return change('remove', request, changeMs, signal);
    },

    async pull(reference, onProgress, signal) {
      await pullImage({ engine, clock, dockerConfig }, reference, onProgress, signal);
      images.forget();
    },
    ensureHome: (user, owner, signal) => ensureHome(helperRun, hostWorkdir, user, owner, signal),
    ensureNetwork: (signal) => ensureNetwork(engine, installation, signal),
    sessionMarks: (id, signal) => sessionMarks(engine, clock, id, signal),
    endSession: (id, session, signal) => endSession(engine, clock, { id, session }, signal),
    removeLeftHelpers: (signal) => removeLeftHelpers(helperRun, signal),

    follow(on, signal) {
      const followers = {
        event: (event: Parameters<typeof on.event>[0]) => {
          if (event.type === 'image') images.forget();
          on.event(event);
        },
        gap: () => {
          images.setFollowed(true);
          on.gap();
        },
        down: (reason: string) => {
          images.setFollowed(false);
          on.down(reason);
        },
      };
      return followEvents({ engine, clock, installation }, followers, signal).finally(() => images.setFollowed(false));
    },
  };
}

const CreatedContainer = z.object({ Id: z.string() });

async function makeHomesFolder(workdir: string): Promise<void> {
  const folder = join(workdir, homesFolder);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StartError(`The folder of the homes cannot be made (${why}): check SPOON_AGENT_WORKDIR.`, 1, {
      cause: error,
    });
  }
}
