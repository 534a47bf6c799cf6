import type { BoxStore } from '#shared/box-store.ts';
import { EngineError } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import type { ClearBody, ClearReply } from '#shared/leftover.ts';
import { ProblemError } from '#shared/problem.ts';
import type { HostEngine } from '../runtime/host-port.ts';
import { isLiveState } from './former-containers.ts';
import { type FoundLeftover, trashNameOf } from './found.ts';

export interface ClearDeps {
  readonly engine: HostEngine;
  readonly store: Pick<BoxStore, 'wish'>;
  /** helpers run from it */
  readonly image: string;
  /** who consents, for the events */
  readonly by: string;
  /** What of it is there now. Asked just before anything is done. */
  find(of: ClearBody, signal: AbortSignal): Promise<FoundLeftover | null>;
  /** names in the trash */
  thrown(): Promise<string[]>;
}

/**
 * Clears one leftover, and only if what is there now is exactly what was listed. Containers go by the id that was looked at,
 * never by force towards the engine; directories go into the trash in one step, and are removed from there.
 */
export async function clearLeftover(deps: ClearDeps, body: ClearBody, signal: AbortSignal): Promise<ClearReply> {
  const found = await deps.find(body, signal);
  const { name, seen, force = false } = body;
  if (found?.leftover.seen !== seen) return await goOn(deps, body, signal);
  const { inUse } = found.leftover;
  if (inUse !== null && !force) {
    throw new ProblemError('leftover-in-use', `${name} is left as it is: ${inUse}. Clear it by force if that may be`);
  }
  return await cleared(deps, found, force, signal);
}

async function cleared(
  deps: ClearDeps,
  { leftover, target }: FoundLeftover,
  force: boolean,
  signal: AbortSignal,
): Promise<ClearReply> {
  const { name, seen } = leftover;
  switch (target.type) {
    case 'container':
      return await removed(deps, { id: target.id, name }, force, signal);
    case 'box':
      return await adopted(deps, target, force, signal);
    case 'directory': {
      const as = trashNameOf(target.name, seen);
      if (!(await deps.engine.throwAway(deps.image, { ...target, as }, signal))) throw changed(name);
      return await emptied(deps, name, as, signal);
    }
    case 'trash':
      return await emptied(deps, name, target.as, signal);
    case 'none':
      throw new ProblemError('leftover-in-use', `${name} is only listed: ${leftover.about}`);
  }
}

/** What was begun before has another name by now. */
async function goOn(deps: ClearDeps, { kind, name, seen }: ClearBody, signal: AbortSignal): Promise<ClearReply> {
  const as = trashNameOf(name, seen);
  if (kind !== 'job-directory' || !(await deps.thrown()).includes(as)) throw changed(name);
  return await emptied(deps, name, as, signal);
}

async function emptied(deps: ClearDeps, name: string, as: string, signal: AbortSignal): Promise<ClearReply> {
  const done = await deps.engine.emptyTrash(deps.image, as, signal);
  return { done, message: done ? `${name} is removed` : `${name} is large: its removal goes on` };
}

async function removed(
  { engine }: ClearDeps,
  { id, name }: { id: string; name: string },
  force: boolean,
  signal: AbortSignal,
): Promise<ClearReply> {
  try {
    const container = await engine.container(id, signal);
    if (container === null || container.name !== name) throw changed(name);
    if (isLiveState(container.state) && !force) throw changed(name);
    if (isLiveState(container.state)) await engine.stop(id, signal);
    await engine.remove(id, signal);
  } catch (error) {
    // Started again, renamed, gone or going: not what was consented to.
    const kind = error instanceof EngineError ? error.fault.kind : null;
    if (kind === 'not-found' || kind === 'conflict') throw changed(name);
    throw error;
  }
  return { done: true, message: `${name} is removed; volumes of its own, if any, are left` };
}

async function adopted(
  { engine, store, by }: ClearDeps,
  { id, user }: { id: string; user: UserName },
  atOnce: boolean,
  signal: AbortSignal,
): Promise<ClearReply> {
  const execs = atOnce ? 0 : await engine.countExecs(id, signal);
  const reply = await store.wish(user, { wish: 'adopt', containerId: id, atOnce }, by);
  if (!reply.ok) throw new ProblemError('wish-refused', `the adoption was refused (${reply.refused}): ${reply.detail}`);
  const running = execs === 1 ? 'command in it has' : `${execs} commands in it have`;
  const when = execs === 0 ? 'now' : `once the ${running} ended`;
  return { done: true, message: `the reconciler replaces the box of ${user} ${when}; the home stays` };
}

function changed(name: string): ProblemError {
  const detail = `${name} is left as it is: it is not what was listed any more. Look again, and decide anew`;
  return new ProblemError('leftover-changed', detail);
}
