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
  'image-changed',
  'image-vanishes',
  'class-unknown',
  'pull-forbidden',
  'starts-die',
  'probes-fail',
  'home-link',
  'home-of-root',
  'homes-hidden',
  'chown-fails',
  'restarting-box',
  'removing-box',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Steps and phases that last for an instant: a fault at a random time would hardly ever meet them. */
export const ambushes = [
  'pulling',
  'creating',
  'starting',
  'probing',
  'idle',
  'stopping',
  'removing',
  'failed',
  'absent',
] as const;
export type Ambush = (typeof ambushes)[number];

export interface PlannedFault {
  readonly index: number;
  readonly at: number;
  /** the fault waits from `at` on until a commit brings some user here, and strikes that user just then; null = strikes at `at` */
  readonly ambush: Ambush | null;
  readonly kind: FaultKind;
  readonly forMs: number;
  /** in [0, 1): which process or user, how bad */
  readonly which: number;
  readonly how: number;
}

/** The share of faults that follow another within seconds, on the same user or process. */
const nextBlow = 0.4;
/** The share of faults that lie in ambush. */
const ambushed = 0.5;

/** The faults of a seed, in order of time. Leaving some out leaves the others as they are, so a story can be shrunk. */
export function planFaults(random: Random, untilMs: number, least: number): PlannedFault[] {
  const count = least + random.int(0, 15);
  const faults: Omit<PlannedFault, 'index'>[] = [];
  for (let made = 0; made < count; made += 1) {
    const before = faults.at(-1);
    // What is hit while it still reels from the last blow is where bugs are.
    const isNext = random.chance(nextBlow) && before !== undefined;
    const at = isNext ? before.at + random.int(0, 4_000) : random.int(2_000, untilMs - 5_000);
    faults.push({
      at: Math.min(at, untilMs - 5_000),
      kind: random.pick(faultKinds),
      ambush: random.chance(ambushed) ? random.pick(ambushes) : null,
      forMs: random.pick([200, 1_000, 3_000, 10_000, 25_000, 60_000]),
      which: isNext ? before.which : random.next(),
      how: random.next(),
    });
  }
  return faults.toSorted((a, b) => a.at - b.at).map((fault, index) => ({ ...fault, index }));
}
