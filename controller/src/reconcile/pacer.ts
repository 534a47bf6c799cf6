import type { Clock } from '#shared/clock.ts';

export const windowMs = 60_000;
const leastPerWindow = 5;
const shareOfRunning = 0.2;

export interface PacerStats {
  readonly mostPerMinute: number;
  readonly lastMinute: number;
  /** until the next idle reap may be committed; 0 = now */
  readonly waitMs: number;
}

/** Of a leader that began now, and has not looked at everything yet. */
export const untouchedPacer: PacerStats = { mostPerMinute: leastPerWindow, lastMinute: 0, waitMs: 0 };

/**
 * Holds back a wave of idle reaps: if many boxes look idle at once, it is likelier that we are wrong than that everybody
 * left. An operator's reap and a delete do not pass here.
 */
export class Pacer {
  private readonly clock: Clock;
  private readonly taken: number[] = [];
  private running = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** How many boxes run, as the last list told. */
  observe(running: number): void {
    this.running = running;
  }

  /** ms until the next idle reap may be committed; 0 = now. */
  waitMs(): number {
    const now = this.clock.monotonicMs();
    while (this.taken[0] !== undefined && this.taken[0] <= now - windowMs) this.taken.shift();
    const oldest = this.taken[this.taken.length - this.allowed()];
    return oldest === undefined ? 0 : Math.max(1, oldest + windowMs - now);
  }

  stats(): PacerStats {
    const waitMs = this.waitMs();
    return { mostPerMinute: this.allowed(), lastMinute: this.taken.length, waitMs };
  }

  /** Takes a place, or answers false. Give it back when the reap was not committed after all. */
  tryTake(): { giveBack: () => void } | null {
    if (this.waitMs() > 0) return null;
    const at = this.clock.monotonicMs();
    this.taken.push(at);
    return {
      giveBack: () => {
        const index = this.taken.lastIndexOf(at);
        if (index >= 0) this.taken.splice(index, 1);
      },
    };
  }

  private allowed(): number {
    return Math.max(leastPerWindow, Math.floor(this.running * shareOfRunning));
  }
}
