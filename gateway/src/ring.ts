import { type BudgetedRing, halfOf, type RingBudget } from './ring-budget.ts';
import { pageBytes, type Stretch } from './ring-memory.ts';

/**
 * The last output of a session, by absolute offset. Its memory grows with what is in it, up to the bound and to what the budget
 * of all rings has; then the oldest bytes go, each shown to `onEvict` first.
 *
 * INVARIANT: holds exactly the bytes from `start` to `end`, and `end` never goes back.
 */
export class Ring implements BudgetedRing {
  readonly #mostBytes: number;
  readonly #onEvict: (bytes: Buffer) => void;
  readonly #budget: RingBudget;
  /** the byte of offset `o` is at `o % length` of these pages */
  #pages: number[] = [];
  #length = 0;
  #start = 0;
  #end = 0;

  constructor(mostBytes: number, onEvict: (bytes: Buffer) => void, budget: RingBudget) {
    this.#mostBytes = mostBytes;
    this.#onEvict = onEvict;
    this.#budget = budget;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  append(bytes: Buffer): void {
    const end = this.#end + bytes.length;
    if (end - this.#start > this.#length) this.#makeRoom(end - this.#start);
    const evictTo = end - this.#length;
    if (evictTo > this.#start) {
      const evictStored = Math.min(evictTo, this.#end);
      for (const part of this.#parts(this.#start, evictStored)) this.#onEvict(part);
      if (evictTo > this.#end) this.#onEvict(bytes.subarray(0, evictTo - this.#end));
      this.#start = evictTo;
    }
    this.#end = end;
    this.#store(bytes.subarray(Math.max(0, bytes.length - this.#length)));
  }

  /** A copy of at most `mostBytes` from an offset on; null where these are gone, or were never here. */
  read(from: number, mostBytes: number): Buffer | null {
    if (from < this.#start || from > this.#end) return null;
    return Buffer.concat([...this.#parts(from, Math.min(this.#end, from + mostBytes))]);
  }

  /** For the budget, which asks for it where a smaller ring needs the memory. */
  halve(): void {
    const length = halfOf(this.#length);
    const evictTo = this.#end - length;
    if (evictTo > this.#start) {
      for (const part of this.#parts(this.#start, evictTo)) this.#onEvict(part);
      this.#start = evictTo;
    }
    this.#moveTo(length);
  }

  /** Nothing is appended any more, and nothing can be read: its session has ended. */
  free(): void {
    this.#budget.takeBack(this, this.#length);
    this.#start = this.#end;
    this.#moveTo(0);
  }

  *#parts(from: number, to: number): Generator<Buffer> {
    for (const { slab, at, bytes } of this.#stretches(from, to)) yield slab.subarray(at, at + bytes);
  }

  /** Where the bytes between two offsets are: less than the ring's length. */
  *#stretches(from: number, to: number): Generator<Stretch> {
    if (from >= to) return;
    const at = from % this.#length;
    const first = Math.min(to - from, this.#length - at);
    yield* this.#budget.memory.stretches(this.#pages, at, first);
    yield* this.#budget.memory.stretches(this.#pages, 0, to - from - first);
  }

  /** The last bytes before the end. */
  #store(bytes: Buffer): void {
    let done = 0;
    for (const stretch of this.#stretches(this.#end - bytes.length, this.#end)) {
      done += bytes.copy(stretch.slab, stretch.at, done, done + stretch.bytes);
    }
  }

  #makeRoom(wanted: number): void {
    let length = Math.max(pageBytes, this.#length);
    while (length < wanted && length < this.#mostBytes) length *= 2;
    length = Math.min(length, this.#mostBytes);
    if (length === this.#length) return;
    const granted = this.#budget.grant(this, this.#length, length);
    if (granted > this.#length) this.#moveTo(granted);
  }

  #moveTo(length: number): void {
    const stored = this.read(this.#start, this.#end - this.#start) ?? Buffer.alloc(0);
    const { memory } = this.#budget;
    memory.giveBack(this.#pages);
    this.#pages = memory.take(Math.ceil(length / pageBytes));
    this.#length = length;
    this.#store(stored);
  }
}
