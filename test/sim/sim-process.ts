import type { Clock } from '#shared/clock.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * A process of the simulation: it can be paused (a stop-the-world: it wakes later and goes on as if nothing had been) and
 * killed. What it asked of others still happens after its death; no answer reaches it any more.
 */
export class SimProcess {
  readonly name: string;
  readonly clock: Clock;
  private readonly scheduler: Scheduler;
  private alive = true;
  private pausedUntil = 0;
  /** that were set, and neither ran nor were cancelled */
  private timers = 0;

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.scheduler = scheduler;
    this.clock = {
      monotonicMs: () => scheduler.now(),
      after: (delayMs, run) => this.timer(delayMs, run),
    };
  }

  isAlive(): boolean {
    return this.alive;
  }

  pendingTimers(): number {
    return this.timers;
  }

  kill(): void {
    this.alive = false;
  }

  pause(forMs: number): void {
    this.pausedUntil = Math.max(this.pausedUntil, this.scheduler.now() + forMs);
  }

  isPaused(): boolean {
    return this.scheduler.now() < this.pausedUntil;
  }

  /** Runs inside the process: not if it is dead, later if it is paused. */
  enter(run: () => unknown): void {
    if (!this.alive) return;
    if (this.isPaused()) this.scheduler.after(this.pausedUntil - this.scheduler.now(), () => this.enter(run));
    else run();
  }

  /** One that is cancelled by what runs before it at a waking does not run, as in any process. */
  private timer(delayMs: number, run: () => void): () => void {
    let isOver = false;
    const over = (): boolean => {
      if (isOver) return false;
      isOver = true;
      this.timers -= 1;
      return true;
    };
    this.timers += 1;
    const cancel = this.scheduler.after(delayMs, () => this.enter(() => over() && run()));
    return () => {
      if (over()) cancel();
    };
  }
}
