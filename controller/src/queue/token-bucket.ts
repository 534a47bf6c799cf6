import { type Clock, sleep } from '#shared/clock.ts';

/** At most `burst` at once and `perSecond` on average; who finds it empty waits its turn, first come first served. */
export class TokenBucket {
  private readonly clock: Clock;
  private readonly perSecond: number;
  private readonly burst: number;
  private tokens: number;
  private filledAt: number;

  constructor(options: { clock: Clock; perSecond: number; burst: number }) {
    this.clock = options.clock;
    this.perSecond = options.perSecond;
    this.burst = options.burst;
    this.tokens = options.burst;
    this.filledAt = options.clock.monotonicMs();
  }

  async take(signal: AbortSignal): Promise<void> {
    const now = this.clock.monotonicMs();
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.filledAt) * this.perSecond) / 1_000);
    this.filledAt = now;
    // Below zero is what those who wait have taken already: each waits until its own token would be there.
    this.tokens -= 1;
    if (this.tokens < 0) await sleep(this.clock, (-this.tokens * 1_000) / this.perSecond, signal);
  }
}
