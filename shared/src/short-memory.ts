import type { Clock } from './clock.ts';

/**
 * What was true a moment ago, by key, so that not every request has to ask again. Where it is full, what was put in first goes
 * first.
 *
 * INVARIANT: nothing is told later than its `forMs` after `since`.
 */
export class ShortMemory<Value> {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #kept = new Map<string, { readonly value: Value; readonly until: number }>();

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.#most = most;
  }

  get(key: string): Value | null {
    const entry = this.#kept.get(key);
    if (entry === undefined) return null;
    if (entry.until > this.#clock.monotonicMs()) return entry.value;
    this.#kept.delete(key);
    return null;
  }

  /** `since`: of the clock's monotonic time, from before it was asked for: it may have changed while the answer was on its way. */
  keep(key: string, value: Value, since: number, forMs: number): void {
    this.#kept.delete(key);
    this.#kept.set(key, { value, until: since + forMs });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > this.#most && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** All those of which this is true. */
  forget(isMeant: (value: Value, key: string) => boolean): void {
    for (const [key, { value }] of this.#kept) if (isMeant(value, key)) this.#kept.delete(key);
  }
}
