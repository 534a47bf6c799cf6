/** What a terminal that has said anything needs at least. */
export const pageBytes = 4 * 1024;
const pagesPerSlab = 256;
const slabBytes = pagesPerSlab * pageBytes;

/** A stretch of memory. */
export interface Stretch {
  readonly slab: Buffer;
  /** in the slab */
  readonly at: number;
  readonly bytes: number;
}

/**
 * The memory of all rings of a gateway, in pages, by number. It is asked of the system when it is first needed, and kept: rings come and
 * go, and what they hold together is bounded by their budget.
 *
 * It is shared memory although nobody shares it. V8 takes every other buffer for something that a collection might free, and goes
 * through the whole heap for each 64 MiB more of it, where rings only grow: under 2,000 terminals no echo came for 0.3 s, every 10 s
 * (`npm run bench terminal -- --only crowd-simulated`).
 */
export class RingMemory {
  readonly #slabs: Buffer[] = [];
  readonly #free: number[] = [];

  /** What was ever asked of the system. */
  get bytes(): number {
    return this.#slabs.length * slabBytes;
  }

  /** Pages that nobody holds; neighbours, as far as there are any. */
  take(count: number): number[] {
    while (this.#free.length < count) this.#addSlab();
    return this.#free.splice(this.#free.length - count).reverse();
  }

  giveBack(pages: readonly number[]): void {
    this.#free.push(...pages.toReversed());
  }

  /** The stretches of memory that hold `bytes` from `at` on, where `pages` are one after the other. */
  *stretches(pages: readonly number[], at: number, bytes: number): Generator<Stretch> {
    const end = at + bytes;
    for (let from = at; from < end; ) {
      const first = Math.floor(from / pageBytes);
      const page = pages[first];
      let last = first;
      while ((last + 1) * pageBytes < end && isNext(pages[last], pages[last + 1])) last += 1;
      const to = Math.min(end, (last + 1) * pageBytes);
      const slab = page === undefined ? undefined : this.#slabs[Math.floor(page / pagesPerSlab)];
      // Never another's page: what is in it is another user's.
      if (page === undefined || slab === undefined) throw new Error(`a ring has no memory at ${from}`);
      yield { slab, at: (page % pagesPerSlab) * pageBytes + (from % pageBytes), bytes: to - from };
      from = to;
    }
  }

  #addSlab(): void {
    const first = this.#slabs.length * pagesPerSlab;
    this.#slabs.push(Buffer.from(new SharedArrayBuffer(slabBytes)));
    // What is taken first lies first.
    for (let page = first + pagesPerSlab - 1; page >= first; page--) this.#free.push(page);
  }
}

function isNext(page: number | undefined, next: number | undefined): boolean {
  return page !== undefined && next === page + 1 && next % pagesPerSlab !== 0;
}
