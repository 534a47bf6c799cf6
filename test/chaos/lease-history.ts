import type { History } from './history.ts';

interface Counting {
  readonly user: string;
  readonly lease: string;
  /** from the answer on, to the end that the holder was told; a renewal begins a new one */
  readonly fromMs: number;
  untilMs: number;
}

const kept = 20_000;

/** Who counted on a box when. */
export class LeaseHistory {
  readonly #history: History;
  #all: Counting[] = [];

  constructor(history: History) {
    this.#history = history;
  }

  held(user: string, lease: string, fromMs: number, untilMs: number): void {
    if (untilMs <= fromMs) return; // the answer came after the lease's time
    this.#all.push({ user, lease, fromMs, untilMs });
    if (this.#all.length > kept) this.#all = this.#all.slice(kept / 2);
  }

  over(user: string, lease: string, atMs: number): void {
    for (const each of this.#all) {
      if (each.user === user && each.lease === lease) each.untilMs = Math.min(each.untilMs, atMs);
    }
  }

  isHeld(user: string, atMs: number): boolean {
    return this.#all.some((each) => each.user === user && each.fromMs <= atMs && atMs < each.untilMs);
  }

  /** Whether anybody counted on it at some moment of this time. */
  wasHeld(user: string, fromMs: number, toMs: number): boolean {
    return this.#all.some((each) => each.user === user && each.fromMs <= toMs && fromMs < each.untilMs);
  }

  /** A drain of this user's box was committed at the latest at `atMs`, for nobody needed it: nobody may have counted on it all the time since `sinceMs`. */
  reapedForIdleness(user: string, sinceMs: number, atMs: number): void {
    const counted = this.#all.find((each) => each.user === user && each.fromMs <= sinceMs && atMs < each.untilMs);
    if (counted === undefined) this.#history.checked('an idle reap met nobody who counted on the box');
    else this.#history.violated(`2: the box of ${user} was reaped for being idle while ${counted.lease} held it`, atMs);
  }
}
