import { setTimeout as wait } from 'node:timers/promises';
import { userOfBoxName } from '#shared/identity.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import type { Commit, StatusStore } from '../../controller/src/store/status-store.ts';
import { duringCall } from './request-failpoints.ts';

/** A call that changes something is also left while it is under way: so long after it was sent. */
const amidMs = 2;

/**
 * Called at every failpoint that is passed: `before create`, `amid create`, `after create`, `before commit ready/active`, …
 * with the user whom it is about, null where it is about all or nobody can tell.
 */
export type Passed = (failpoint: string, user: string | null) => void;

/** The engine's port, with a failpoint before and after every call, and amid those that change something. */
export function runtimeWithFailpoints(inner: BoxRuntime, passed: Passed): BoxRuntime {
  const owners = new Map<string, string>();
  const ownerOf = (id: string): string | null => owners.get(id) ?? null;

  async function look<T>(call: string, user: string | null, ask: () => Promise<T>): Promise<T> {
    passed(`before ${call}`, user);
    try {
      return await duringCall(call, user, ask);
    } finally {
      passed(`after ${call}`, user);
    }
  }
  async function change<T>(call: string, user: string | null, send: () => Promise<T>): Promise<T> {
    return await look(call, user, async () => {
      const answer = send();
      const answered = answer.then(
        () => {},
        () => {},
      );
      await Promise.race([answered, wait(amidMs)]);
      passed(`amid ${call}`, user);
      return await answer;
    });
  }
  function known(views: ContainerView[]): ContainerView[] {
    for (const { id, name, user } of views) {
      const owner = user || userOfBoxName(name);
      if (owner !== null) owners.set(id, owner);
    }
    return views;
  }

  return {
    list: (signal) => look('list', null, async () => known(await inner.list(signal))),
    observe: (user, options, signal) =>
      look('observe', user, async () => known(await inner.observe(user, options, signal))),
    stats: (id, signal) => inner.stats(id, signal),
    countExecs: (id, signal) => look('countExecs', ownerOf(id), () => inner.countExecs(id, signal)),
    image: (reference, signal) => look('image', null, () => inner.image(reference, signal)),
    forgetImages: () => inner.forgetImages(),
    home: (user) => inner.home(user),
    create: (box, signal) =>
      change('create', box.user, async () => {
        const created = await inner.create(box, signal);
        owners.set(created.id, box.user);
        return created;
      }),
    start: (id, signal) => change('start', ownerOf(id), () => inner.start(id, signal)),
    unpause: (id, signal) => change('unpause', ownerOf(id), () => inner.unpause(id, signal)),
    rename: (id, name, signal) => change('rename', ownerOf(id), () => inner.rename(id, name, signal)),
    probe: (id, readiness, signal) => change('probe', ownerOf(id), () => inner.probe(id, readiness, signal)),
    writeVault: (id, vault, signal) => change('writeVault', ownerOf(id), () => inner.writeVault(id, vault, signal)),
    stop: (id, graceMs, signal) => change('stop', ownerOf(id), () => inner.stop(id, graceMs, signal)),
    remove: (id, signal) => change('remove', ownerOf(id), () => inner.remove(id, signal)),
    pull: (reference, onProgress, signal) => change('pull', null, () => inner.pull(reference, onProgress, signal)),
    ensureHome: (user, owner, signal) => change('ensureHome', user, () => inner.ensureHome(user, owner, signal)),
    ensureNetwork: (signal) => change('ensureNetwork', null, () => inner.ensureNetwork(signal)),
    removeLeftHelpers: (signal) => change('removeLeftHelpers', null, () => inner.removeLeftHelpers(signal)),
    homeUse: (id, target, signal) => inner.homeUse(id, target, signal),
    sessionMarks: (id, signal) => inner.sessionMarks(id, signal),
    runTool: (id, tool, signal) => inner.runTool(id, tool, signal),
    endSession: (id, session, signal) => inner.endSession(id, session, signal),
    follow: (on, signal) => inner.follow(on, signal),
  };
}

/** The status store, with a failpoint before and after every commit, by the kind of what it commits. */
export function statusStoreWithFailpoints(inner: StatusStore, passed: Passed): StatusStore {
  return {
    async commit(token, commit) {
      const kind = kindOf(commit);
      passed(`before ${kind}`, commit.user);
      try {
        return await inner.commit(token, commit);
      } finally {
        passed(`after ${kind}`, commit.user);
      }
    },
  };
}

/** `commit reaping/stopping drain`: the phase, its step, and the intent where it has one. */
function kindOf({ phase, body, intent }: Commit): string {
  const state = body.step === null ? phase : `${phase}/${body.step}`;
  return intent.kind === 'none' ? `commit ${state}` : `commit ${state} ${intent.kind}`;
}
