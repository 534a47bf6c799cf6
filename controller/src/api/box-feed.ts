import type { BoxView } from '#shared/api-schemas.ts';
import type { BoxStore } from '#shared/box-store.ts';
import type { BoxClasses } from '#shared/box-class.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { isUnknown, viewOf } from './box-view.ts';
import type { Changes } from './changes.ts';

/** One event of a watch, as it goes over the wire. */
export interface Frame {
  readonly text: string;
  /** rises with every read of this process: a frame never follows a newer one of the same user */
  readonly order: number;
}

export interface Watcher {
  /** null = all users */
  readonly user: UserName | null;
  push(user: UserName, frame: Frame): void;
}

/** How many users are read at once where all of them are. */
const readsAtOnce = 50;

/**
 * Turns changes into frames for all watchers: a change costs one read, however many watch.
 *
 * INVARIANTS
 * - never two reads of one user at once because of changes; a change during a read makes one more read follow
 * - nothing is read while nobody watches
 * - a failed read is not lost: the subscription's own gap (Redis came back) reads everything again
 */
export interface BoxFeed {
  /** Pushes the whole present state to this watcher, then every change. Resolves once the whole state was pushed. */
  join(watcher: Watcher): Promise<void>;
  leave(watcher: Watcher): void;
  /** All boxes, for a plain list. */
  readAll(): Promise<BoxView[]>;
}

export function createBoxFeed(store: BoxStore, classes: BoxClasses, changes: Changes, log: Logger): BoxFeed {
  const watchers = new Set<Watcher>();
  const reading = new Map<UserName, { again: boolean }>();
  /** users that watchers were told of: after a gap, those that are gone must be told too */
  const told = new Set<UserName>();
  let order = 0;
  let stopListening: (() => void) | null = null;

  async function frameOf(user: UserName): Promise<Frame> {
    order += 1;
    const mine = order;
    const record = await store.read(user);
    const id = `${record.now}-${mine}`;
    if (isUnknown(record)) {
      told.delete(user);
      return { order: mine, text: sse('removed', id, { user }) };
    }
    told.add(user);
    return { order: mine, text: sse('box', id, viewOf(record, classes)) };
  }

  function wanted(user: UserName): Watcher[] {
    return [...watchers].filter((watcher) => watcher.user === null || watcher.user === user);
  }

  async function readAndPush(user: UserName): Promise<void> {
    const running = reading.get(user);
    if (running) {
      running.again = true;
      return;
    }
    const state = { again: true };
    reading.set(user, state);
    try {
      while (state.again && wanted(user).length > 0) {
        state.again = false;
        const frame = await frameOf(user);
        for (const watcher of wanted(user)) watcher.push(user, frame);
      }
    } catch (error) {
      log.debug({ error, user }, 'a watched box could not be read; it is read again once Redis answers');
    } finally {
      reading.delete(user);
    }
  }

  async function readAgain(): Promise<void> {
    const users = new Set([...(await store.users()), ...told]);
    await inParallel([...users], readAndPush);
  }

  return {
    async join(watcher) {
      watchers.add(watcher);
      stopListening ??= changes.listen((user) => {
        const work = user === null ? readAgain() : readAndPush(user);
        work.catch((error: unknown) =>
          log.debug({ error }, 'the full state could not be read; the next gap tries again'),
        );
      });
      const users = watcher.user === null ? await store.users() : [watcher.user];
      await inParallel(users, async (user) => watcher.push(user, await frameOf(user)));
    },
    leave(watcher) {
      watchers.delete(watcher);
      if (watchers.size > 0) return;
      stopListening?.();
      stopListening = null;
      told.clear();
    },
    async readAll() {
      const views: BoxView[] = [];
      await inParallel(await store.users(), async (user) => {
        const record = await store.read(user);
        if (!isUnknown(record)) views.push(viewOf(record, classes));
      });
      return views.sort((a, b) => (a.user < b.user ? -1 : 1));
    },
  };
}

export function sse(event: string, id: string, data: unknown): string {
  return `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The first failure ends it. */
async function inParallel<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(readsAtOnce, items.length) }, worker));
}
