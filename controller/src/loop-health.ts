import type { Clock } from '#shared/clock.ts';
import type { LoopHealth } from '#shared/operator-schemas.ts';
import type { LoopEvent } from './loop-events.ts';

/** Passes of the last minute count, in slots of a second. */
const slotsKept = 60;
const slotMs = 1_000;
/** Pass times are counted in steps of 19 %, from 0.1 ms to 100 s: the percentiles are that exact, and cost no list of times. */
const firstStepMs = 0.1;
const stepsPerDoubling = 4;
const steps = 80;

/** Passes that ended within one second. */
interface Slot {
  /** which second, of this process's clock */
  second: number;
  count: number;
  failed: number;
  readonly tooks: Uint32Array;
}

/**
 * Listens to the loop, and tells how its passes and resyncs went. It keeps a fixed amount, however many boxes there are.
 */
export class LoopWatch {
  private readonly clock: Clock;
  private readonly slots: Slot[] = [];
  private lastResyncTookMs: number | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  hear(event: LoopEvent): void {
    if (event.type === 'resynced') this.lastResyncTookMs = event.tookMs;
    if (event.type !== 'pass-ended') return;
    const slot = this.slotOfNow();
    slot.count += 1;
    if (event.result === 'error') slot.failed += 1;
    const step = stepOf(event.tookMs);
    slot.tooks[step] = (slot.tooks[step] ?? 0) + 1;
  }

  health(): Pick<LoopHealth, 'passes' | 'lastResyncTookMs'> {
    const oldest = this.second() - slotsKept;
    const counted = this.slots.filter(({ second }) => second > oldest);
    const tooks = new Uint32Array(steps);
    let count = 0;
    let failed = 0;
    for (const slot of counted) {
      count += slot.count;
      failed += slot.failed;
      for (const [step, passes] of slot.tooks.entries()) tooks[step] = (tooks[step] ?? 0) + passes;
    }
    const passes = { count, failed, p50Ms: percentile(tooks, count, 0.5), p99Ms: percentile(tooks, count, 0.99) };
    return { passes, lastResyncTookMs: this.lastResyncTookMs };
  }

  private slotOfNow(): Slot {
    const second = this.second();
    const index = second % slotsKept;
    let slot = this.slots[index];
    if (slot?.second !== second) {
      slot = { second, count: 0, failed: 0, tooks: new Uint32Array(steps) };
      this.slots[index] = slot;
    }
    return slot;
  }

  private second(): number {
    return Math.floor(this.clock.monotonicMs() / slotMs);
  }
}

function stepOf(tookMs: number): number {
  if (tookMs <= firstStepMs) return 0;
  return Math.min(steps - 1, Math.ceil(stepsPerDoubling * Math.log2(tookMs / firstStepMs)));
}

/** The upper end of the step that holds it; 0 where nothing was counted. */
function percentile(tooks: Uint32Array, count: number, share: number): number {
  let left = Math.ceil(count * share);
  if (left === 0) return 0;
  for (const [step, passes] of tooks.entries()) {
    left -= passes;
    if (left <= 0) return round(firstStepMs * 2 ** (step / stepsPerDoubling));
  }
  return round(firstStepMs * 2 ** ((steps - 1) / stepsPerDoubling));
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
