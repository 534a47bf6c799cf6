import { type BudgetedRing, halfOf, type RingBudget } from './ring-budget.ts';

const smallest = 4 * 1024;

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
  /** the byte of offset `o` is at `o % length` */
  #memory = Buffer.alloc(0);
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
    if (end - this.#start > this.#memory.length) this.#makeRoom(end - this.#start);
    const evictTo = end - this.#memory.length;
    if (evictTo > this.#start) {
      const evictStored = Math.min(evictTo, this.#end);
      for (const part of this.#parts(this.#start, evictStored)) this.#onEvict(part);
      if (evictTo > this.#end) this.#onEvict(bytes.subarray(0, evictTo - this.#end));
      this.#start = evictTo;
    }
    const kept = bytes.subarray(Math.max(0, bytes.length - this.#memory.length));
    const at = (end - kept.length) % this.#memory.length;
    const first = kept.copy(this.#memory, at);
    if (first < kept.length) kept.copy(this.#memory, 0, first);
    this.#end = end;
  }

  /** A copy of at most `mostBytes` from an offset on; null where these are gone, or were never here. */
  read(from: number, mostBytes: number): Buffer | null {
    if (from < this.#start || from > this.#end) return null;
    return Buffer.concat(this.#parts(from, Math.min(this.#end, from + mostBytes)));
  }

  /** For the budget, which asks for it where a smaller ring needs the memory. */
  halve(): void {
    const length = halfOf(this.#memory.length);
    const evictTo = this.#end - length;
    if (evictTo > this.#start) {
      for (const part of this.#parts(this.#start, evictTo)) this.#onEvict(part);
      this.#start = evictTo;
    }
    this.#moveTo(length);
  }

  /** Nothing is appended any more, and nothing can be read: its session has ended. */
  free(): void {
    this.#budget.takeBack(this, this.#memory.length);
    this.#memory = Buffer.alloc(0);
    this.#start = this.#end;
  }

  #parts(from: number, to: number): Buffer[] {
    if (from >= to) return [];
    const at = from % this.#memory.length;
    const first = this.#memory.subarray(at, Math.min(this.#memory.length, at + to - from));
    const rest = to - from - first.length;
    return rest === 0 ? [first] : [first, this.#memory.subarray(0, rest)];
  }

  #makeRoom(wanted: number): void {
    let length = Math.max(smallest, this.#memory.length);
    while (length < wanted && length < this.#mostBytes) length *= 2;
    length = Math.min(length, this.#mostBytes);
    if (length === this.#memory.length) return;
    const granted = this.#budget.grant(this, this.#memory.length, length);
    if (granted > this.#memory.length) this.#moveTo(granted);
  }

  #moveTo(length: number): void {
    const stored = this.read(this.#start, this.#end - this.#start) ?? Buffer.alloc(0);
    this.#memory = Buffer.allocUnsafeSlow(length);
    const at = this.#start % length;
    const first = stored.copy(this.#memory, at);
    if (first < stored.length) stored.copy(this.#memory, 0, first);
  }
}
