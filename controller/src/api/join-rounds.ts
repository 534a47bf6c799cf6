import type { BoxStore } from '#shared/box-store.ts';
import type { UserName } from '#shared/identity.ts';
import type { Frame, Watcher } from './box-feed.ts';
import { inParallel } from './in-parallel.ts';

/** Reads that many watchers at once want because they join. */
export interface JoinRounds {
  /** Pushes these users, or all that are known, to this watcher. Resolves once all was pushed. */
  join(watcher: Watcher, users: ReadonlySet<UserName> | null): Promise<void>;
}

interface Member {
  readonly watcher: Watcher;
  /** null = all */
  readonly users: ReadonlySet<UserName> | null;
}

interface JoinRoundsParts {
  readonly users: BoxStore['users'];
  readonly frameOf: (user: UserName) => Promise<Frame>;
  readonly stillWatches: (watcher: Watcher) => boolean;
}

/**
 * Whoever joins while a round of reads is under way waits for the next one, and shares it with all who came meanwhile: when all
 * come back at once, each box is read twice and not once for each of them.
 *
 * INVARIANTS
 * - one round at a time, and at most one that waits
 * - a watcher is told only of reads that began after it joined: an earlier one may have missed a change that nobody told it
 */
export function createJoinRounds({ users: allUsers, frameOf, stillWatches }: JoinRoundsParts): JoinRounds {
  let last: Promise<void> = Promise.resolve();
  let next: { readonly members: Member[]; readonly done: Promise<void> } | null = null;

  async function round(members: readonly Member[]): Promise<void> {
    const all = new Set(members.some(({ users }) => users === null) ? await allUsers() : []);
    const wanted = new Set(members.flatMap(({ users }) => [...(users ?? [])]).concat([...all]));
    await inParallel([...wanted], async (user) => {
      const some = members.filter(({ watcher, users }) => (users ?? all).has(user) && stillWatches(watcher));
      if (some.length === 0) return;
      const frame = await frameOf(user);
      for (const { watcher } of some) watcher.push(user, frame);
    });
  }

  return {
    join(watcher, users) {
      const member = { watcher, users };
      if (next) {
        next.members.push(member);
        return next.done;
      }
      const members = [member];
      const done = last
        .catch(() => {})
        .then(() => {
          next = null;
          return round(members);
        });
      next = { members, done };
      last = done;
      return done;
    },
  };
}
