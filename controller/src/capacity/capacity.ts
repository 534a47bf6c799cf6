import { isLimited, type Limits } from '#shared/config.ts';
import type { UserName } from '#shared/identity.ts';
import type { Admission, AdmissionWait } from '../box/admitting.ts';
import { type OnLoopEvent, unheard } from '../loop-events.ts';
import { Ranked } from './ranked.ts';
import type { Standing, Wish } from './standing.ts';

/** The first in line are told at once when they move up; the others when they look themselves, ever more seldom. */
const toldAtOnce = 10;
const shortestLookMs = 5_000;
const longestLookMs = 60_000;
/** Of a line of n people, all together then look some 10 × ln(n) times a second. */
const lookMsPerPosition = 100;
/** Who was called and has not come by then is passed over until it does: a pass that fails must not hold up the line. */
const calledForMs = 10_000;
/** Of those who have the places, so many are named to whoever waits. */
const holdersNamed = 3;

interface Entry {
  readonly standing: Standing;
  /** since when there is a place for it (Redis TIME, ms); null = there is none */
  calledAt: number | null;
}

/** A number of boxes, and the memory of all together. */
interface Share {
  boxes: number;
  memoryBytes: number;
}

/** What a pass asks. */
export type Room = Pick<Capacity, 'admission' | 'makesRoom'>;

/** Where nobody limits anything. */
export const unlimited: Room = { admission: () => ({ state: 'open' }), makesRoom: () => false };

/**
 * Who has a place, who waits for one, and who is to make room: of one term of a leader, in memory. All of it comes from what is
 * stored and what runs, so that the next leader goes on with the same line.
 *
 * INVARIANTS
 * - Nobody is admitted before every user that is known has had a pass of this term: places that the last leader gave are known
 *   by then, for it could commit no more when those passes read.
 * - A place is taken here before the commit that gives it, and stays taken until a pass sees that it is not: two passes at once
 *   never take the last one.
 * - The line is strict: nobody is admitted while somebody before them, who comes when called, has no place. So the large one at
 *   its head is not passed by many small ones for ever.
 * - Only idle boxes make room, no more of them than it takes, and only for people for whom there is room then.
 */
export class Capacity {
  private readonly limits: Limits;
  private readonly onCall: (user: UserName) => void;
  private readonly onEvent: OnLoopEvent;
  private readonly entries = new Map<UserName, Entry>();
  /** by their `order`; by `idleSince` */
  private readonly line = new Ranked();
  private readonly idle = new Ranked();
  private readonly taken: Share = { boxes: 0, memoryBytes: 0 };
  private readonly leaving: Share = { boxes: 0, memoryBytes: 0 };
  /** whose passes are missing yet; null = it is not even known whose */
  private uncounted: Set<UserName> | null = null;
  private makingRoom: ReadonlySet<UserName> = new Set();

  constructor(options: {
    limits: Limits;
    /** something has changed for this user: a pass is due */
    onCall: (user: UserName) => void;
    onEvent?: OnLoopEvent;
  }) {
    this.limits = options.limits;
    this.onCall = options.onCall;
    this.onEvent = options.onEvent ?? unheard;
  }

  /** Everybody who is known or has a container. The first time in a term it says whose pass has to be waited for. */
  listed(users: ReadonlySet<UserName>): void {
    this.uncounted ??= new Set([...users].filter((user) => !this.entries.has(user)));
    // Somebody of whom nothing is known any more: only a look at the engine tells whether there is a box still.
    for (const user of this.entries.keys()) if (!users.has(user)) this.onCall(user);
  }

  /** What a pass of this user concluded; null = neither a box nor a wish for one. */
  see(user: UserName, standing: Standing | null, now: number): void {
    const before = this.entries.get(user)?.standing ?? null;
    const wasLast = this.uncounted?.delete(user) === true && this.uncounted.size === 0;
    const isChanged = !isSame(before, standing);
    if (isChanged) {
      if (before !== null) this.drop(user, before);
      if (standing !== null) this.put(user, standing);
      this.tell(before, standing, user);
    }
    const entry = this.entries.get(user);
    // It has come, and is called again in its turn.
    if (!isChanged && entry && isAway(entry, now)) entry.calledAt = null;
    if (isChanged || wasLast || this.isFirst(user, now)) this.settle(now);
    // They were told that it is being counted.
    if (wasLast) for (const waiting of this.line) this.onCall(waiting);
  }

  /**
   * The engine told a pass nothing of this user: what is stored counts, until it does. So one container that an engine cannot
   * tell of does not keep everybody waiting. Where nothing is stored, or was seen before, nothing is concluded.
   */
  presume(user: UserName, stored: Standing | null, now: number): void {
    if (stored !== null && this.uncounted?.has(user)) this.see(user, stored, now);
  }

  /** Whether this user may have one box more, `now`. Asking changes nothing. */
  admission(user: UserName, wish: Wish | null, now: number): Admission {
    const { limits } = this;
    if (wish === null || !isLimited(limits)) return { state: 'open' };
    if (limits.memoryBytes !== null && wish.memoryBytes > limits.memoryBytes) {
      return { state: 'over-budget', memoryBytes: wish.memoryBytes, budgetBytes: limits.memoryBytes };
    }
    if (this.uncounted === null || this.uncounted.size > 0) return this.wait(user, wish, 0, now);
    const free = this.free(user);
    // Also where they do not fit yet: then nothing is left for who comes after them.
    for (const waiting of this.line) {
      const entry = this.entries.get(waiting);
      const ahead = entry?.standing.waits;
      if (!ahead || waiting === user) continue;
      if (this.line.before(user, wish.order) <= this.line.before(waiting, ahead.order)) break;
      if (!isAway(entry, now)) take(free, ahead.memoryBytes);
      if (!fits(free, wish.memoryBytes)) break;
    }
    if (fits(free, wish.memoryBytes)) return { state: 'open' };
    return this.wait(user, wish, this.positionOf(user, wish), now);
  }

  /** It is this idle box's turn to give way. */
  makesRoom(user: UserName): boolean {
    return this.makingRoom.has(user);
  }

  /** Takes a place for a box of so much memory; null = others took the last. Give it back when it was not given after all. */
  tryTake(user: UserName, memoryBytes: number): { giveBack: () => void } | null {
    const before = this.entries.get(user)?.standing ?? null;
    if (!fits(this.free(user), memoryBytes)) return null;
    if (before !== null) this.drop(user, before);
    const idleSince = before?.idleSince ?? 0;
    const placed: Standing = { boxes: 1, memoryBytes, state: 'held', idleSince, givesWayAt: null, waits: null };
    this.put(user, placed);
    this.tell(before, placed, user);
    return {
      giveBack: () => {
        const now = this.entries.get(user)?.standing ?? null;
        if (now !== null) this.drop(user, now);
        if (before !== null) this.put(user, before);
        this.tell(now, before, user);
      },
    };
  }

  /** Calls those for whom there is a place, and finds out who is to make room for the next. */
  private settle(now: number): void {
    if (!isLimited(this.limits)) return;
    if (this.uncounted === null || this.uncounted.size > 0) return;
    const free = this.free(null);
    const coming = { boxes: free.boxes + this.leaving.boxes, memoryBytes: free.memoryBytes + this.leaving.memoryBytes };
    const idle = this.idleNow(now);
    const makingRoom = new Set<UserName>();
    /** Lets idle boxes go until so much fits; where there are not enough of them, none: they would go in vain. */
    const makeRoomFor = (memoryBytes: number): boolean => {
      const chosen: UserName[] = [];
      while (!fits(coming, memoryBytes)) {
        const next = idle.next();
        if (next.done) return false;
        chosen.push(next.value[0]);
        add(coming, next.value[1]);
      }
      for (const user of chosen) makingRoom.add(user);
      return true;
    };
    let isOpen = true;
    for (const user of this.line) {
      const entry = this.entries.get(user);
      const wish = entry?.standing.waits;
      if (!entry || !wish || isAway(entry, now)) continue;
      isOpen &&= fits(free, wish.memoryBytes);
      if (isOpen) take(free, wish.memoryBytes);
      if (isOpen && entry.calledAt === null) {
        entry.calledAt = now;
        this.onCall(user);
      }
      if (!makeRoomFor(wish.memoryBytes)) break;
      take(coming, wish.memoryBytes);
    }
    const before = this.makingRoom;
    this.makingRoom = makingRoom;
    for (const user of makingRoom) if (!before.has(user)) this.onCall(user);
  }

  private *idleNow(now: number): Generator<[UserName, Standing], undefined> {
    for (const user of this.idle) {
      const standing = this.entries.get(user)?.standing;
      if (standing && standing.givesWayAt !== null && standing.givesWayAt <= now) yield [user, standing];
    }
  }

  private wait(user: UserName, wish: Wish, position: number, now: number): AdmissionWait {
    const { boxes, memoryBytes } = this.limits;
    const holders = this.holders(user);
    return {
      state: 'waits',
      position,
      waiting: this.line.size + (this.entries.get(user)?.standing.waits ? 0 : 1),
      boxes: { taken: this.taken.boxes, limit: boxes },
      memoryBytes: { taken: this.taken.memoryBytes, limit: memoryBytes, needed: wish.memoryBytes },
      holders,
      moreHolders: Math.max(0, this.entries.size - this.line.size - holders.length),
      lookMs: this.lookMs(position, now),
    };
  }

  private positionOf(user: UserName, wish: Wish): number {
    return this.line.before(user, wish.order) + 1;
  }

  private lookMs(position: number, now: number): number {
    const lookMs = Math.min(longestLookMs, Math.max(shortestLookMs, position * lookMsPerPosition));
    if (position > 1) return lookMs;
    // The first looks when the next idle box may go.
    let soonest = now + lookMs;
    for (const user of this.idle) {
      const at = this.entries.get(user)?.standing.givesWayAt ?? null;
      if (at !== null && at > now) soonest = Math.min(soonest, at);
    }
    return soonest - now;
  }

  private holders(except: UserName): { user: UserName; isIdle: boolean }[] {
    const named: { user: UserName; isIdle: boolean }[] = [];
    for (const user of this.idle) {
      if (named.length === holdersNamed) return named;
      named.push({ user, isIdle: true });
    }
    for (const [user, { standing }] of this.entries) {
      if (named.length === holdersNamed) break;
      if (user !== except && standing.boxes > 0 && standing.state !== 'idle') named.push({ user, isIdle: false });
    }
    return named;
  }

  /** What is left, as if this user had nothing; below 0 where more is there than may be. */
  private free(except: UserName | null): Share {
    const own = except === null ? undefined : this.entries.get(except)?.standing;
    const { boxes, memoryBytes } = this.limits;
    return {
      boxes: (boxes ?? Number.POSITIVE_INFINITY) - this.taken.boxes + (own?.boxes ?? 0),
      memoryBytes: (memoryBytes ?? Number.POSITIVE_INFINITY) - this.taken.memoryBytes + (own?.memoryBytes ?? 0),
    };
  }

  private put(user: UserName, standing: Standing): void {
    this.entries.set(user, { standing, calledAt: null });
    add(this.taken, standing);
    if (standing.state === 'leaving') add(this.leaving, standing);
    if (standing.waits !== null) this.line.add(user, standing.waits.order);
    if (isIdle(standing)) this.idle.add(user, standing.idleSince);
  }

  private drop(user: UserName, standing: Standing): void {
    this.entries.delete(user);
    remove(this.taken, standing);
    if (standing.state === 'leaving') remove(this.leaving, standing);
    if (standing.waits !== null) this.line.remove(user, standing.waits.order);
    if (isIdle(standing)) this.idle.remove(user, standing.idleSince);
  }

  /** Of those who come when they are called. */
  private isFirst(user: UserName, now: number): boolean {
    for (const waiting of this.line) {
      const entry = this.entries.get(waiting);
      if (waiting === user) return true;
      if (entry && !isAway(entry, now)) return false;
    }
    return false;
  }

  /** Something has changed; where somebody came into the line or left it, positions behind have, too. */
  private tell(before: Standing | null, standing: Standing | null, user: UserName): void {
    this.onEvent({ type: 'capacity', ...this.taken, waiting: this.line.size });
    const [from, to] = [before?.waits ?? null, standing?.waits ?? null];
    if (from?.order === to?.order) return;
    const ranks = [from, to].flatMap((wish) => (wish === null ? [] : [this.line.before(user, wish.order)]));
    for (let index = Math.min(...ranks); index < toldAtOnce; index += 1) {
      const behind = this.line.at(index);
      if (behind === undefined) return;
      if (behind !== user) this.onCall(behind);
    }
  }
}

function fits(free: Share, memoryBytes: number): boolean {
  return free.boxes >= 1 && free.memoryBytes >= memoryBytes;
}

function take(room: Share, memoryBytes: number): void {
  room.boxes -= 1;
  room.memoryBytes -= memoryBytes;
}

function add(room: Share, { boxes, memoryBytes }: Share): void {
  room.boxes += boxes;
  room.memoryBytes += memoryBytes;
}

function remove(room: Share, { boxes, memoryBytes }: Share): void {
  room.boxes -= boxes;
  room.memoryBytes -= memoryBytes;
}

function isIdle({ state, boxes }: Standing): boolean {
  return state === 'idle' && boxes > 0;
}

function isAway({ calledAt }: Entry, now: number): boolean {
  return calledAt !== null && now - calledAt > calledForMs;
}

function isSame(a: Standing | null, b: Standing | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.boxes === b.boxes &&
    a.memoryBytes === b.memoryBytes &&
    a.state === b.state &&
    a.idleSince === b.idleSince &&
    a.givesWayAt === b.givesWayAt &&
    a.waits?.order === b.waits?.order &&
    a.waits?.memoryBytes === b.waits?.memoryBytes
  );
}
