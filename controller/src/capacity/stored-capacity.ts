import type { BoxClasses } from '#shared/box-class.ts';
import type { BoxStore } from '#shared/box-store.ts';
import { isLimited, type Limits } from '#shared/config.ts';
import { eachAtOnce } from '../sweep/each.ts';
import { Capacity, type Room, unlimited } from './capacity.ts';
import { storedStandingOf } from './standing.ts';

/** Records that are read at once. */
const readsAtOnce = 8;

/** Who has a place and who waits, as the last passes wrote it down: for a process that does not lead. One read a user, where there are limits. */
export async function storedCapacity(options: {
  store: Pick<BoxStore, 'read' | 'users'>;
  limits: Limits;
  classes: BoxClasses;
}): Promise<Room> {
  const { store, limits, classes } = options;
  if (!isLimited(limits)) return unlimited;
  const capacity = new Capacity({ limits, onCall: () => {} });
  const users = await store.users();
  capacity.listed(new Set(users));
  await eachAtOnce(users, readsAtOnce, async (user) => {
    const record = await store.read(user);
    capacity.see(user, storedStandingOf(record, classes), record.now);
  });
  return capacity;
}
