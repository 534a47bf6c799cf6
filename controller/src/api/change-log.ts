import { randomBytes } from 'node:crypto';
import type { UserName } from '#shared/identity.ts';

/** Who has changed in the order of the last change: what a watch needs to go on after a break. Ids are `<epoch>-<order>`. */
export interface ChangeLog {
  /** Notes a change of this user; answers with its order, which is larger than all before. */
  note(user: UserName): number;
  /** Changes may have been missed, of anybody: nobody can go on from an id that was given before. */
  forget(): void;
  /** The id with which a reader goes on after this order, or after all that was noted so far. */
  idOf(order?: number): string;
  /** Users who changed after this id, the earliest first, each once; null where that is not known any more. */
  since(id: string): UserName[] | null;
}

/** The most users who are remembered; ids from before the change of one that was forgotten cannot be gone on from. */
const maxRemembered = 20_000;

/**
 * INVARIANT: `last` has every user who changed after `known`, in the order of their last changes.
 */
export function createChangeLog(): ChangeLog {
  // Another process, or a later one, counts anew: its ids must not be taken for these.
  const epoch = randomBytes(4).toString('hex');
  const last = new Map<UserName, number>();
  let order = 1;
  let known = 1;
  return {
    note(user) {
      order += 1;
      last.delete(user);
      last.set(user, order);
      const [oldest] = last;
      if (last.size > maxRemembered && oldest) {
        known = oldest[1];
        last.delete(oldest[0]);
      }
      return order;
    },
    forget() {
      order += 1;
      known = order;
      last.clear();
    },
    idOf: (at = order) => `${epoch}-${at}`,
    since(id) {
      const [, of, at] = /^([0-9a-f]{8})-(\d{1,15})$/.exec(id) ?? [];
      const after = Number(at);
      if (of !== epoch || after < known || after > order) return null;
      return [...last].filter(([, changedAt]) => changedAt > after).map(([user]) => user);
    },
  };
}
