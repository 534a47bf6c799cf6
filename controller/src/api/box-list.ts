import type { BoxList, BoxView } from '#shared/api-schemas.ts';
import type { BoxClasses } from '#shared/box-class.ts';
import type { BoxStore } from '#shared/box-store.ts';
import type { UserName } from '#shared/identity.ts';
import { isUnknown, viewOf } from './box-view.ts';
import { inParallel } from './in-parallel.ts';
import { continueAfter, placeOf } from './page-place.ts';
import type { Selects } from './selector.ts';

/** One page looks at no more boxes than this, however few of them are selected. */
const maxReadPerPage = 2_000;
/** So many are read before it is looked whether the page is full. */
const readAtOnce = 100;

export interface PageOptions {
  readonly store: BoxStore;
  readonly classes: BoxClasses;
  readonly limit: number;
  readonly selects: Selects;
  /** as the page before said; null = from the beginning */
  readonly from: string | null;
}

/**
 * One page of the boxes, by the names of their users. Each box is as it is when it is read: a list is no snapshot. A box that is
 * there from the first page to the last is told exactly once. A page may hold fewer than `limit`, and more follow all the same.
 */
export async function pageOfBoxes({ store, classes, limit, selects, from }: PageOptions): Promise<BoxList> {
  const after = from === null ? '' : placeOf(from);
  const users = (await store.users()).filter((user) => user > after).sort();
  const items: BoxView[] = [];
  let looked = 0;
  while (items.length < limit && looked < Math.min(users.length, maxReadPerPage)) {
    // Without a selector nothing is read in vain.
    const views = await readAll(users.slice(looked, looked + Math.min(readAtOnce, limit - items.length)));
    for (const view of views) {
      looked += 1;
      if (view !== null && selects(view)) items.push(view);
    }
  }
  const last = users[looked - 1];
  return { items, continue: last === undefined || looked === users.length ? null : continueAfter(last) };

  async function readAll(some: readonly UserName[]): Promise<(BoxView | null)[]> {
    const views = new Map<UserName, BoxView>();
    await inParallel(some, async (user) => {
      const record = await store.read(user);
      if (!isUnknown(record)) views.set(user, viewOf(record, classes));
    });
    return some.map((user) => views.get(user) ?? null);
  }
}
