import { pageBytes, RingMemory } from './ring-memory.ts';

/** A ring as the budget sees it. */
export interface BudgetedRing {
  /** Gives up half of its memory, and the oldest of what is in it. */
  halve(): void;
}

/**
 * The memory of all rings of a gateway together. While there is room, each gets what it asks for. Then the largest give up half
 * for the smaller, until no full one holds four times as much as another.
 *
 * INVARIANTS
 * - All rings together hold `mostBytes` at most, but for the first bytes of each: a terminal without any could never be resumed.
 * - A ring only gives to one that stays no larger than itself, so no two take from each other in turns.
 */
export class RingBudget {
  readonly memory = new RingMemory();
  readonly #mostBytes: number;
  #usedBytes = 0;
  /** by what they hold; of as many, who has held it for longest first */
  readonly #bySize = new Map<number, Set<BudgetedRing>>();

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** A ring that holds `has` asks for `wanted` in all: so much it has now, `has` at least. */
  grant(ring: BudgetedRing, has: number, wanted: number): number {
    const least = has > 0 ? has : Math.min(wanted, pageBytes);
    let size = wanted;
    while (!this.#makeRoom(size - has, 2 * size) && size > least) size = Math.max(least, halfOf(size));
    if (size !== has) this.#move(ring, has, size);
    return size;
  }

  /** The ring is no more. */
  takeBack(ring: BudgetedRing, has: number): void {
    this.#move(ring, has, 0);
  }

  /** False: there is none, and nobody is left who holds `fromBytes` and can give up half. */
  #makeRoom(bytes: number, fromBytes: number): boolean {
    while (this.#usedBytes + bytes > this.#mostBytes) {
      const largest = Math.max(0, ...this.#bySize.keys());
      const [ring] = this.#bySize.get(largest) ?? [];
      if (ring === undefined || largest < fromBytes) return false;
      ring.halve();
      this.#move(ring, largest, halfOf(largest));
    }
    return true;
  }

  #move(ring: BudgetedRing, from: number, to: number): void {
    const before = this.#bySize.get(from);
    before?.delete(ring);
    if (before?.size === 0) this.#bySize.delete(from);
    if (to > 0) {
      const others = this.#bySize.get(to);
      if (others) others.add(ring);
      else this.#bySize.set(to, new Set([ring]));
    }
    this.#usedBytes += to - from;
  }
}

/** What a ring holds after it was halved. */
export function halfOf(bytes: number): number {
  return Math.floor(bytes / 2);
}
