import type { Clock } from '#shared/clock.ts';

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  private now = 1_000;
  /** how many timers were ever set */
  armed = 0;
  private readonly timers = new Set<{ readonly at: number; readonly run: () => void }>();

  monotonicMs(): number {
    return this.now;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.now + delayMs, run };
    this.armed += 1;
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Timers that wait: a test that ends with one has found a leak. */
  get pending(): number {
    return this.timers.size;
  }

  /** When the next timer is due, in ms from now; null = none waits. */
  get nextInMs(): number | null {
    const next = this.earliest();
    return next === null ? null : next.at - this.now;
  }

  /** Moves on, runs what falls due in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const until = this.now + ms;
    for (let next = this.earliest(); next !== null && next.at <= until; next = this.earliest()) {
      this.timers.delete(next);
      this.now = Math.max(this.now, next.at);
      next.run();
      await settled();
    }
    this.now = until;
    await settled();
  }

  private earliest(): { readonly at: number; readonly run: () => void } | null {
    let earliest: { readonly at: number; readonly run: () => void } | null = null;
    for (const timer of this.timers) if (earliest === null || timer.at < earliest.at) earliest = timer;
    return earliest;
  }
}

/** Resolves when all promises that can go on without time or I/O have. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
