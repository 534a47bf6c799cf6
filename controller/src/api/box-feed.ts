import type { BoxView } from '#shared/api-schemas.ts';
import type { BoxStore } from '#shared/box-store.ts';
import type { BoxClasses } from '#shared/box-class.ts';
import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { isUnknown, viewOf } from './box-view.ts';
import { createChangeLog } from './change-log.ts';
import type { Changes } from './changes.ts';
import { sseWithoutId } from './event-stream.ts';
import { inParallel } from './in-parallel.ts';
import { createJoinRounds } from './join-rounds.ts';
import { createSecondLooks } from './second-looks.ts';

/**
 * What the newest read of one user told, as it goes over the wire after its id. One for all watchers, who may take it late: a
 * newer read replaces what it holds.
 */
export interface Frame {
  readonly text: string;
  /** rises with every read that this process begins: a frame never follows a newer one of the same user */
  readonly read: number;
}

/** A frame that a change led to. */
export interface ChangeFrame extends Frame {
  /** who has had all frames up to this one goes on after it */
  readonly id: string;
  /** the whole event: the same bytes for all watchers */
  readonly bytes: Buffer;
}

export interface Watcher {
  /** null = all users */
  readonly user: UserName | null;
  /** the state as it is, told because of `join`, or to all because it changed */
  push(user: UserName, frame: Frame | ChangeFrame): void;
}

export interface Joining {
  /** what the watcher goes on after, until all of it was told: null = it gets the full state */
  readonly from: string | null;
  /** Resolves once all was pushed, with the id after which to go on. */
  readonly told: Promise<void>;
}

/** Who changed is noted for this long after the last watcher has left, so that one that comes back missed nothing. */
const rememberMs = 600_000;
/** What could not be read is read again after this long. */
const retryMs = 1_000;

/**
 * Turns changes into frames for all watchers: a change costs one read, however many watch.
 *
 * INVARIANTS
 * - never two reads of one user at once because of changes; a change during a read makes one more read follow
 * - nothing is read while nobody watches; who changed is noted all the same, for `rememberMs`
 * - a change gets its order when its frame is pushed to all who watch, or when nobody does: whoever has had all frames up
 *   to an order has missed nothing before it
 * - what waits for slow watchers is one text of each user and the bytes of its last change, however many of them there are
 * - nobody says that a lease was renewed or has run out: a box that was told is looked at again when the first of the times in it
 *   has passed, and so no time that a watcher knows has passed for long
 * - a failed read is not lost: it is done again a moment later
 */
export interface BoxFeed {
  /** Pushes what changed after `lastId`, or else the whole present state, to this watcher; and every change from now on. */
  join(watcher: Watcher, lastId: string | null): Joining;
  leave(watcher: Watcher): void;
  /** The id of all that was pushed so far. */
  id(): string;
  /** Ends what it still listens to for those who may come back. */
  end(): void;
}

export function createBoxFeed(
  store: Pick<BoxStore, 'read' | 'users'>,
  classes: BoxClasses,
  changes: Pick<Changes, 'listen'>,
  clock: Clock,
  log: Logger,
): BoxFeed {
  const watchers = new Set<Watcher>();
  const reading = new Map<UserName, { again: boolean }>();
  /** users that watchers were told of: after a gap, those that are gone must be told too */
  const told = new Map<UserName, { text: string; read: number }>();
  const rounds = createJoinRounds({
    users: () => store.users(),
    frameOf,
    stillWatches: (watcher) => watchers.has(watcher),
  });
  const noted = createChangeLog();
  let reads = 0;
  let stopListening: (() => void) | null = null;
  let cancelForgetting = (): void => {};
  let cancelRetry = (): void => {};
  const looks = createSecondLooks(clock, (users) => void inParallel(users, readAndPush));

  async function frameOf(user: UserName): Promise<Frame> {
    reads += 1;
    const read = reads;
    const record = await store.read(user);
    const frame = told.get(user) ?? { text: '', read: 0 };
    // A later one was faster.
    if (frame.read > read) return frame;
    const isGone = isUnknown(record);
    frame.read = read;
    if (isGone) {
      frame.text = sseWithoutId('removed', { user });
      told.delete(user);
      lookAgain(user, Number.POSITIVE_INFINITY);
    } else {
      const view = viewOf(record, classes);
      frame.text = sseWithoutId('box', view);
      told.set(user, frame);
      lookAgain(user, firstTimeIn(view) - view.now);
    }
    return frame;
  }

  /** A read may outlast the feed. */
  function lookAgain(user: UserName, inMs: number): void {
    if (stopListening) looks.set(user, inMs);
  }

  /** One box is read for itself, and waits for no round of all of them. */
  async function tell(watcher: Watcher, user: UserName): Promise<void> {
    watcher.push(user, await frameOf(user));
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
        const id = noted.idOf(noted.note(user));
        const change = { read: frame.read, text: frame.text, id, bytes: Buffer.from(`id: ${id}\n${frame.text}`) };
        for (const watcher of wanted(user)) watcher.push(user, change);
      }
      if (state.again) noted.note(user);
    } catch (error) {
      lookAgain(user, retryMs);
      log.debug({ error, user }, 'a watched box could not be read; it is read again in a moment');
    } finally {
      reading.delete(user);
    }
  }

  async function readAgain(): Promise<void> {
    noted.forget();
    if (watchers.size === 0) return;
    try {
      const users = new Set([...(await store.users()), ...told.keys()]);
      await inParallel([...users], readAndPush);
    } catch (error) {
      noted.forget();
      cancelRetry();
      if (stopListening) cancelRetry = clock.after(retryMs, () => void readAgain());
      log.debug({ error }, 'the full state could not be read; it is read again in a moment');
    }
  }

  function listen(): void {
    cancelForgetting();
    if (stopListening) return;
    // What happened before was not heard.
    noted.forget();
    stopListening = changes.listen((user) => void (user === null ? readAgain() : readAndPush(user)));
  }

  function stop(): void {
    cancelForgetting();
    cancelRetry();
    looks.stop();
    stopListening?.();
    stopListening = null;
    told.clear();
  }

  return {
    join(watcher, lastId) {
      watchers.add(watcher);
      listen();
      const changed = lastId === null ? null : noted.since(lastId);
      const from = changed === null ? null : lastId;
      const { user } = watcher;
      if (user === null) return { from, told: rounds.join(watcher, changed && new Set(changed)) };
      return { from, told: changed?.includes(user) === false ? Promise.resolve() : tell(watcher, user) };
    },
    leave(watcher) {
      if (!watchers.delete(watcher) || watchers.size > 0) return;
      cancelForgetting = clock.after(rememberMs, stop);
    },
    id: () => noted.idOf(),
    end: stop,
  };
}

/** The first moment at which something in it is over (Redis TIME, ms); infinite where nothing is. */
function firstTimeIn({ now, until, leases }: BoxView): number {
  const times = [until ?? 0, ...leases.map(({ expiresAt }) => expiresAt)];
  return Math.min(...times.filter((at) => at > now));
}
