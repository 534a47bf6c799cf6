import { type Clock, sleep } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import { boxNameOf, type InstallationId, networkNameOf, UserName, userOfBoxName } from '#shared/identity.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import type { BoxRuntime, HomeView, RuntimeEvent } from '../../controller/src/runtime/port.ts';
import { refusal, type SimContainer, SimEngine, type SimEvent } from './sim-engine.ts';

/** What a readiness command does, by its first word; anything else succeeds. */
export const simProbes = { fails: 'sim:fails', hangs: 'sim:hangs' } as const;

/** What every box of the simulation uses. */
export const simUse = { cpus: 0.25, memoryBytes: 16 * 1024 ** 2, homeBytes: 4_096 } as const;

type Method = Exclude<keyof BoxRuntime, 'home' | 'follow' | 'forgetImages'>;

/** Calls so far, by the port's method. `home` (a look at a disk) and `follow` are no calls on the engine. */
export type SimCalls = Record<Method, number>;

export interface SimRuntime extends BoxRuntime {
  readonly engine: SimEngine;
  readonly calls: SimCalls;
  /** by user: the owner's uid, or `link` where somebody put a symbolic link there */
  readonly homes: Map<string, number | 'link'>;
  /** by user: what of the vault was written into the home, and in which container */
  readonly vaults: Map<
    string,
    { readonly revision: number; readonly containerId: string; readonly files: ReadonlyMap<string, string> }
  >;
  /** what the registry has: reference → id */
  readonly registry: Map<string, string>;
}

/**
 * `BoxRuntime` on an engine in memory: what Docker does to containers, without the time it takes. Images are remembered as
 * the Docker adapter remembers them, so `calls.image` counts what would reach an engine.
 */
export function createSimRuntime(options: {
  installation: InstallationId;
  clock: Clock;
  /** told of every call that would reach an engine, as it begins */
  onCall?: (method: Method, subject: string) => void;
}): SimRuntime {
  const { installation, clock, onCall } = options;
  const engine = new SimEngine(clock);
  const homes = new Map<string, number | 'link'>();
  const vaults: SimRuntime['vaults'] = new Map();
  const registry = new Map<string, string>();
  const remembered = new Map<string, string>();
  /** questions under way: one at a time for each reference */
  const asked = new Map<string, Promise<void>>();
  const imageListeners = new Set<() => void>();
  const calls: SimCalls = {
    ...{
      list: 0,
      observe: 0,
      stats: 0,
      homeUse: 0,
      countExecs: 0,
      image: 0,
      create: 0,
      start: 0,
      unpause: 0,
      rename: 0,
      probe: 0,
    },
    ...{ stop: 0, remove: 0, pull: 0, ensureHome: 0, ensureNetwork: 0, removeLeftHelpers: 0 },
    ...{ sessionMarks: 0, endSession: 0, runTool: 0, writeVault: 0 },
  };

  /** Nothing is answered in the caller's own turn, as over a socket. */
  async function called(method: Method, subject: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    calls[method] += 1;
    onCall?.(method, subject);
    await Promise.resolve();
  }

  function isOurs(view: ContainerView): boolean {
    return view.installation === installation && view.role === 'box';
  }

  return {
    engine,
    calls,
    homes,
    vaults,
    registry,

    async list(signal) {
      await called('list', '', signal);
      const views = [...engine.containers.values()].map(viewOf).filter((view) => {
        return isOurs(view) || userOfBoxName(view.name) !== null;
      });
      // A list does not tell how a container ended, and shows one that could not be removed as if it was being removed.
      return views.map((view) => {
        const state = view.state === 'dead' ? 'removing' : view.state;
        return { ...view, state, exitCode: null, oomKilled: false };
      });
    },

    async observe(user, { thorough }, signal) {
      await called('observe', user, signal);
      const found = engine.named(boxNameOf(user));
      const named = found === undefined ? null : viewOf(found);
      if (named !== null && !thorough && isOurs(named) && named.user === user && named.state === 'running') {
        return [named];
      }
      const others = engine.labelled(user).map(viewOf);
      const unnamed = others.filter((view) => view.installation === installation && view.id !== named?.id);
      return [...(named === null ? [] : [named]), ...unnamed];
    },

    async stats(id, signal) {
      await called('stats', id, signal);
      const { state, blueprint, execs } = engine.container('stats', id);
      if (state !== 'running' && state !== 'paused') throw refusal('stats', 409, `container ${id} does not run`);
      const nowMs = clock.monotonicMs();
      const use = { readAtMs: nowMs, cpuNs: nowMs * 1e6 * simUse.cpus, memoryBytes: simUse.memoryBytes };
      return { ...use, memoryLimitBytes: blueprint.spec?.memoryBytes ?? 0, pids: 1 + execs };
    },
    async homeUse(id, _target, signal) {
      await called('homeUse', id, signal);
      engine.runsFor('homeUse', id);
      return { usedBytes: simUse.homeBytes, isWhole: true };
    },
    async countExecs(id, signal) {
      await called('countExecs', id, signal);
      return engine.container('countExecs', id).execs;
    },
    async image(reference, signal) {
      const known = remembered.get(reference);
      if (known !== undefined) return { state: 'present', id: known };
      const question = asked.get(reference) ?? called('image', reference, signal);
      asked.set(reference, question);
      await question.finally(() => asked.delete(reference));
      const id = engine.images.get(reference);
      if (id === undefined) return { state: 'absent' };
      if (imageListeners.size > 0) remembered.set(reference, id);
      return { state: 'present', id };
    },
    forgetImages() {
      remembered.clear();
    },
    async home(user) {
      return homeOf(user, homes.get(user));
    },

    async create({ user, generation, spec }, signal) {
      await called('create', user, signal);
      const home = spec.homeSource.slice(spec.homeSource.lastIndexOf('/') + 1);
      if (!homes.has(home)) {
        const message = `invalid mount config for type "bind": bind source path does not exist: ${spec.homeSource}`;
        throw refusal('create', 400, message);
      }
      const labels = { installation, role: 'box', user, generation };
      if (![...engine.images.values()].includes(spec.imageId)) remembered.clear();
      const { id } = engine.create('create', { name: boxNameOf(user), ...labels, imageId: spec.imageId, spec });
      return { id };
    },
    async start(id, signal) {
      await called('start', id, signal);
      engine.start('start', id);
    },
    async unpause(id, signal) {
      await called('unpause', id, signal);
      engine.unpause('unpause', id);
    },
    async rename(id, name, signal) {
      await called('rename', id, signal);
      engine.rename('rename', id, name);
    },
    async probe(id, readiness, signal) {
      await called('probe', id, signal);
      engine.runsFor('probe', id);
      const fault = { operation: 'probe', status: null };
      if (readiness.command[0] === simProbes.hangs) {
        await sleep(clock, readiness.timeout, signal);
        throw new EngineError({ ...fault, kind: 'timeout', message: `no answer within ${readiness.timeout} ms` });
      }
      if (readiness.command[0] !== simProbes.fails) return;
      const message = 'the readiness command ended with exit code 4: not ready';
      throw new EngineError({ ...fault, kind: 'failed', message });
    },
    async runTool(id, _tool, signal) {
      await called('runTool', id, signal);
      engine.runsFor('runTool', id);
      return { exitCode: 0, output: '' };
    },
    async writeVault(id, { revision, files, orders }, signal) {
      await called('writeVault', id, signal);
      const { user } = engine.runsFor('writeVault', id).blueprint;
      const home = new Map(vaults.get(user)?.files);
      for (const { order, path } of orders) if (order === 'drop') home.delete(path);
      for (const { path, content } of files) home.set(path, content.toString('utf8'));
      vaults.set(user, { revision, containerId: id, files: home });
      return { revision, drift: [], failed: [] };
    },
    async stop(id, graceMs, signal) {
      await called('stop', id, signal);
      await orAborted(engine.stop('stop', id, graceMs), signal);
    },
    async remove(id, signal) {
      await called('remove', id, signal);
      engine.remove('remove', id);
    },

    async pull(reference, onProgress, signal) {
      await called('pull', reference, signal);
      const id = registry.get(reference);
      if (id === undefined) throw refusal('pull', 404, `manifest for ${reference} not found: manifest unknown`);
      onProgress({ image: reference, doneBytes: 1, totalBytes: 1, layersDone: 1, layers: 1 });
      engine.images.set(reference, id);
      remembered.clear();
      for (const tell of imageListeners) queueMicrotask(tell);
    },
    async ensureHome(user, { uid, image }, signal) {
      await called('ensureHome', user, signal);
      if (![...engine.images.values()].includes(image)) throw refusal('ensureHome', 404, `No such image: ${image}`);
      const home = homes.get(user);
      if (home === 'link') {
        const message = `homes/${user} is there, but it is not a directory: move it away`;
        throw new EngineError({ operation: 'ensureHome', kind: 'failed', status: null, message });
      }
      if (home === undefined || home === 0) homes.set(user, uid);
    },
    async ensureNetwork(signal) {
      await called('ensureNetwork', '', signal);
      engine.networks.add(networkNameOf(installation));
    },
    async sessionMarks(id, signal) {
      await called('sessionMarks', id, signal);
      return engine.inside.marks(engine.runsFor('sessionMarks', id));
    },
    async endSession(id, session, signal) {
      await called('endSession', id, signal);
      const container = engine.containers.get(id);
      if (container?.state === 'running') engine.inside.end(container, session);
    },
    async removeLeftHelpers(signal) {
      await called('removeLeftHelpers', '', signal);
    },

    async follow(on, signal) {
      signal.throwIfAborted();
      await Promise.resolve();
      const onImage = (): void => on.event({ type: 'image' });
      const unlisten = engine.listen((event) => {
        for (const user of usersOf(event, installation)) on.event({ type: 'box', user } satisfies RuntimeEvent);
      });
      imageListeners.add(onImage);
      try {
        on.gap();
        await orAborted(new Promise<void>(() => {}), signal);
      } finally {
        unlisten();
        imageListeners.delete(onImage);
        remembered.clear();
      }
    },
  };
}

function viewOf(container: SimContainer): ContainerView {
  const { id, blueprint, name, state, createdAtS, exitCode, oomKilled } = container;
  return {
    ...blueprint,
    id,
    name,
    state,
    createdAtS,
    exitCode: state === 'exited' || state === 'dead' ? exitCode : null,
    oomKilled,
  };
}

function homeOf(user: string, home: number | 'link' | undefined): HomeView {
  if (home === undefined) return { state: 'absent' };
  if (home === 'link') return { state: 'unusable', message: `homes/${user} is a symbolic link: move it away` };
  return { state: 'present', uid: home };
}

/** By the label, and by the name that the container has or had. */
function usersOf({ container, oldName }: SimEvent, installation: InstallationId): Set<UserName> {
  const { blueprint } = container;
  const labelled = UserName.safeParse(blueprint.installation === installation ? blueprint.user : '');
  const users = [labelled.success ? labelled.data : null, userOfBoxName(container.name), userOfBoxName(oldName)];
  return new Set(users.filter((user) => user !== null));
}

/** What was begun goes on; who waited hears the reason. */
async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
