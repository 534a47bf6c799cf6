import type { Random } from './random.ts';

export const faultKinds = [
  'redis-flaky',
  'engine-flaky',
  'engine-errors',
  'wake-ups-lost',
  'events-lost',
  'kill-controller',
  'kill-gateway',
  'stop-controller',
  'pause-controller',
  'pause-gateway',
  'cut-from-redis',
  'redis-down',
  'redis-lost-a-second',
  'redis-restored',
  'redis-flushed',
  'clock-jump',
  'engine-restart',
  'engine-restart-surviving',
  'engine-lost-all',
  'kill-box',
  'oom-box',
  'remove-box',
  'rename-box',
  'pause-box',
  'stop-box',
  'restart-box',
  'foreign-box',
  'second-box',
  'image-gone',
  'disk-full',
  'streams-break',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface PlannedFault {
  readonly index: number;
  readonly at: number;
  readonly kind: FaultKind;
  readonly forMs: number;
  /** in [0, 1): which process or user, how bad */
  readonly which: number;
  readonly how: number;
}

/** The faults of a seed, in order of time. Leaving some out leaves the others as they are, so a story can be shrunk. */
export function planFaults(random: Random, untilMs: number, least: number): PlannedFault[] {
  const count = least + random.int(0, 10);
  const faults = Array.from({ length: count }, () => ({
    at: random.int(2_000, untilMs - 5_000),
    kind: random.pick(faultKinds),
    forMs: random.pick([200, 1_000, 3_000, 10_000, 25_000, 60_000]),
    which: random.next(),
    how: random.next(),
  }));
  return faults.toSorted((a, b) => a.at - b.at).map((fault, index) => ({ ...fault, index }));
}
