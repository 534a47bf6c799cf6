import { once } from 'node:events';
import { type Clock, sleep } from '#shared/clock.ts';
import type { CastEvent } from './cast-file.ts';

export interface Pace {
  /** 2 = twice as fast */
  readonly speed: number;
  /** no wait is longer, as recorded; null = as it was */
  readonly idleLimitMs: number | null;
}

export interface Marker {
  readonly atMs: number;
  readonly text: string;
}

/** Markers that are told at the end; more would be noise. */
const maxMarkers = 20;

/**
 * Plays the output of a recording at its pace. Times are kept as a plan, so that the waits of thousands of events do not add up
 * their errors; a pause moves the plan.
 */
export class Player {
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #out: NodeJS.WritableStream;
  /** markers that came by, the first ones */
  readonly markers: Marker[] = [];
  #pausedAt: number | null = null;
  #pausedMs = 0;
  #wake: (() => void) | null = null;

  constructor(clock: Clock, pace: Pace, out: NodeJS.WritableStream) {
    this.#clock = clock;
    this.#pace = pace;
    this.#out = out;
  }

  togglePause(): void {
    const now = this.#clock.monotonicMs();
    if (this.#pausedAt === null) {
      this.#pausedAt = now;
    } else {
      this.#pausedMs += now - this.#pausedAt;
      this.#pausedAt = null;
    }
    this.#wake?.();
  }

  async play(events: AsyncIterable<CastEvent>, signal: AbortSignal): Promise<void> {
    const startedAt = this.#clock.monotonicMs();
    let recordedAtMs = 0;
    let dueMs = 0;
    for await (const { atMs, code, data } of events) {
      const gapMs = Math.max(0, atMs - recordedAtMs);
      recordedAtMs = Math.max(recordedAtMs, atMs);
      dueMs += Math.min(gapMs, this.#pace.idleLimitMs ?? Number.POSITIVE_INFINITY) / this.#pace.speed;
      if (code === 'm' && this.markers.length < maxMarkers) this.markers.push({ atMs, text: data });
      if (code !== 'o') continue; // input is not shown twice; this terminal cannot be resized from here
      await this.#until(() => startedAt + this.#pausedMs + dueMs, signal);
      if (!this.#out.write(data)) await once(this.#out, 'drain', { signal });
    }
  }

  async #until(due: () => number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const waitMs = this.#pausedAt === null ? due() - this.#clock.monotonicMs() : Number.POSITIVE_INFINITY;
      if (waitMs <= 0) return;
      await this.#wait(Math.min(waitMs, longestWaitMs), signal);
    }
  }

  /** Ends early where the pause begins or ends. */
  async #wait(waitMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    try {
      await sleep(this.#clock, waitMs, AbortSignal.any([signal, woken.signal]));
    } catch (error) {
      if (!woken.signal.aborted) throw error;
    } finally {
      this.#wake = null;
    }
  }
}

/** The longest that setTimeout can wait is 24 days; a look each hour does no harm. */
const longestWaitMs = 3_600_000;
