import type { Clock } from '#shared/clock.ts';
import type { PassResult, QueueEvent } from '../loop-events.ts';
import { DeadlineHeap } from './deadline-heap.ts';

/** `person`: somebody waits for it; `housekeeping`: resyncs and deadlines. */
export type Priority = 'person' | 'housekeeping';

const backoffFirstMs = 100;
const backoffMaxMs = 30_000;
/** Timers of the runtime end at 2^31 ms and fire at once beyond it; a pin lasts longer. */
const timerMaxMs = 3_600_000;
/** Of keys that people wait for, at most this many begin in a row while housekeeping waits too. */
const personsInARow = 16;

export interface WorkQueueStats {
  readonly waiting: number;
  readonly processing: number;
  readonly scheduled: number;
  /** how long the key that waits longest has waited */
  readonly longestWaitMs: number;
}

/**
 * A queue of keys, after client-go's workqueue.
 *
 * INVARIANTS
 * - A key is never processed twice at once: added while processing, it is dirty and runs again afterwards.
 * - A key waits at most once, at its highest priority; a key that begins drops the deadline it had, for its pass reads everything anew.
 * - Of several deadlines of one key the earliest counts. One timer serves all keys.
 * - Backoff belongs to the queue only for a pass that threw; any other wait is what the pass asked for.
 */
export class WorkQueue<Key extends string> {
  private readonly waiting: Record<Priority, Set<Key>> = { person: new Set(), housekeeping: new Set() };
  /** since when each key waits, the longest first */
  private readonly waitingSince = new Map<Key, number>();
  private readonly processing = new Map<Key, Priority>();
  private readonly dirty = new Map<Key, Priority>();
  private readonly throws = new Map<Key, number>();
  private readonly deadlines = new DeadlineHeap<Key>();
  private readonly clock: Clock;
  private readonly workers: number;
  private readonly process: (key: Key) => Promise<{ requeueAfterMs: number | null }>;
  private readonly onThrow: (key: Key, error: unknown, retryInMs: number) => void;
  private readonly onEvent: (event: QueueEvent) => void;
  private cancelTimer: (() => void) | null = null;
  private timerAt = Number.POSITIVE_INFINITY;
  private closed = false;
  private onIdle: (() => void) | null = null;
  private inARow = 0;

  constructor(options: {
    clock: Clock;
    workers: number;
    process: (key: Key) => Promise<{ requeueAfterMs: number | null }>;
    onThrow: (key: Key, error: unknown, retryInMs: number) => void;
    onEvent?: (event: QueueEvent) => void;
  }) {
    this.clock = options.clock;
    this.workers = options.workers;
    this.process = options.process;
    this.onThrow = options.onThrow;
    this.onEvent = options.onEvent ?? unheard;
  }

  add(key: Key, priority: Priority): void {
    if (this.closed) return;
    if (this.processing.has(key)) {
      if (this.dirty.get(key) !== 'person') this.dirty.set(key, priority);
      return;
    }
    if (this.waiting.person.has(key)) return;
    if (priority === 'person') this.waiting.housekeeping.delete(key);
    this.waiting[priority].add(key);
    if (!this.waitingSince.has(key)) {
      this.waitingSince.set(key, this.clock.monotonicMs());
      this.onEvent({ type: 'queued', key });
    }
    this.dispatch();
  }

  /** The earliest deadline of a key counts. `delayMs` 0 adds it at once. */
  addAfter(key: Key, delayMs: number): void {
    if (this.closed) return;
    if (delayMs <= 0) {
      this.add(key, 'housekeeping');
      return;
    }
    this.deadlines.set(key, this.clock.monotonicMs() + delayMs);
    this.arm();
  }

  stats(): WorkQueueStats {
    return {
      waiting: this.waiting.person.size + this.waiting.housekeeping.size,
      processing: this.processing.size,
      scheduled: this.deadlines.size,
      longestWaitMs: this.longestWaitMs(),
    };
  }

  /** Takes nothing new, forgets what waits, and resolves when the passes that run have ended. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancelTimer?.();
    this.cancelTimer = null;
    this.waiting.person.clear();
    this.waiting.housekeeping.clear();
    this.waitingSince.clear();
    if (this.processing.size > 0) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    }
    this.onEvent({ type: 'queue-closed' });
  }

  private dispatch(): void {
    while (!this.closed && this.processing.size < this.workers) {
      const priority = this.nextPriority();
      const next = this.waiting[priority].values().next();
      if (next.done) return;
      this.waiting[priority].delete(next.value);
      this.deadlines.delete(next.value);
      this.processing.set(next.value, priority);
      const now = this.clock.monotonicMs();
      const waitedMs = now - (this.waitingSince.get(next.value) ?? now);
      this.waitingSince.delete(next.value);
      this.onEvent({ type: 'pass-began', key: next.value, waitedMs });
      void this.work(next.value, priority, now);
    }
  }

  /** People first, but housekeeping never starves: it gives back the memory that they need. */
  private nextPriority(): Priority {
    const { person, housekeeping } = this.waiting;
    const isPerson = person.size > 0 && (housekeeping.size === 0 || this.inARow < personsInARow);
    this.inARow = isPerson && housekeeping.size > 0 ? this.inARow + 1 : 0;
    return isPerson ? 'person' : 'housekeeping';
  }

  private async work(key: Key, priority: Priority, beganAtMs: number): Promise<void> {
    let requeueAfterMs: number | null = null;
    let hasThrown = false;
    try {
      ({ requeueAfterMs } = await this.process(key));
      this.throws.delete(key);
    } catch (error) {
      hasThrown = true;
      const count = (this.throws.get(key) ?? 0) + 1;
      this.throws.set(key, count);
      requeueAfterMs = Math.min(backoffFirstMs * 2 ** Math.min(count - 1, 20), backoffMaxMs);
      this.onThrow(key, error, requeueAfterMs);
    }
    this.processing.delete(key);
    const result = hasThrown ? 'error' : resultOf(requeueAfterMs);
    this.onEvent({ type: 'pass-ended', key, result, tookMs: this.clock.monotonicMs() - beganAtMs });
    const dirty = this.dirty.get(key);
    this.dirty.delete(key);
    if (dirty !== undefined) this.add(key, dirty);
    // A follow-up of a pass that somebody waits for is waited for too.
    else if (requeueAfterMs === 0) this.add(key, priority);
    else if (requeueAfterMs !== null) this.addAfter(key, requeueAfterMs);
    if (this.closed && this.processing.size === 0) this.onIdle?.();
    this.dispatch();
  }

  private longestWaitMs(): number {
    const first = this.waitingSince.values().next();
    return first.done ? 0 : this.clock.monotonicMs() - first.value;
  }

  private arm(): void {
    const next = this.deadlines.peek();
    if (next === null || next.at >= this.timerAt) return;
    this.cancelTimer?.();
    const now = this.clock.monotonicMs();
    const delayMs = Math.min(Math.max(0, next.at - now), timerMaxMs);
    this.timerAt = now + delayMs;
    this.cancelTimer = this.clock.after(delayMs, () => this.fire());
  }

  private fire(): void {
    this.cancelTimer = null;
    this.timerAt = Number.POSITIVE_INFINITY;
    const now = this.clock.monotonicMs();
    for (let next = this.deadlines.peek(); next !== null && next.at <= now; next = this.deadlines.peek()) {
      this.deadlines.delete(next.key);
      this.add(next.key, 'housekeeping');
    }
    this.arm();
  }
}

const unheard = (): void => {};

function resultOf(requeueAfterMs: number | null): PassResult {
  if (requeueAfterMs === null) return 'success';
  return requeueAfterMs === 0 ? 'requeue' : 'requeue_after';
}
