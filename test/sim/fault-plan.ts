import type { Random } from './random.ts';

/** What may go wrong, by what it happens to. Every edge of the box machine is to be taken under each of these classes. */
export const faultClasses = {
  'engine calls': ['engine-flaky', 'engine-errors', 'engine-slow', 'creates-conflict'],
  'engine restart': ['engine-restart', 'engine-restart-surviving'],
  'engine data': ['engine-lost-all'],
  'events and wake-ups': ['wake-ups-lost', 'events-lost', 'streams-break'],
  'process ended': ['kill-controller', 'kill-gateway', 'stop-controller', 'stop-gateway'],
  'process stands still': ['pause-controller', 'pause-gateway'],
  'redis connection': ['redis-flaky', 'cut-from-redis', 'redis-down', 'redis-refuses'],
  'redis data': [
    'redis-lost-a-second',
    'redis-restored',
    'redis-flushed',
    'status-lost',
    'status-restored',
    'desired-lost',
    'leases-lost',
    'user-damaged',
  ],
  clock: ['clock-jump'],
  'container by hand': [
    'kill-box',
    'oom-box',
    'remove-box',
    'rename-box',
    'pause-box',
    'stop-box',
    'restart-box',
    'restarting-box',
    'removing-box',
    'second-box',
    'left-box',
  ],
  'container not ours': ['foreign-box', 'impersonated-box', 'foreign-adopted'],
  'container fails': ['starts-die', 'probes-fail'],
  'image, class, disk': [
    'image-gone',
    'image-changed',
    'image-vanishes',
    'class-unknown',
    'pull-forbidden',
    'disk-full',
  ],
  home: ['home-link', 'home-of-root', 'homes-hidden', 'chown-fails'],
} as const;
export type FaultClass = keyof typeof faultClasses;
export type FaultKind = (typeof faultClasses)[FaultClass][number];

export const faultClassNames = namesOf(faultClasses);
export const faultKinds: readonly FaultKind[] = Object.values(faultClasses).flat();
const classOfKind = new Map(
  faultClassNames.flatMap((name) => faultClasses[name].map((kind): [FaultKind, FaultClass] => [kind, name])),
);

export function classOf(kind: FaultKind): FaultClass {
  const name = classOfKind.get(kind);
  if (name === undefined) throw new Error(`${kind} is in no class`);
  return name;
}

/** What is no fault, but has to come at the right time too. */
export const actKinds = [
  'come',
  'leave',
  'ask-reap',
  'ask-recreate',
  'ask-delete',
  'ask-adopt',
  'ask-drain',
  'ask-pause',
  'ask-vault',
] as const;
export type ActKind = (typeof actKinds)[number];

export function isAct(kind: FaultKind | ActKind): kind is ActKind {
  return actKinds.some((act) => act === kind);
}

/** Steps and phases that last for an instant: a fault at a random time would hardly ever meet them. */
export const ambushes = [
  'pulling',
  'creating',
  'starting',
  'probing',
  'active',
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
  /** it waits from `at` on until a commit brings some user here, and strikes that user just then; null = strikes at `at` */
  readonly ambush: Ambush | null;
  readonly kind: FaultKind | ActKind;
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
      // First the class: a class of one kind is as likely as one of ten.
      kind: random.pick(faultClasses[random.pick(faultClassNames)]),
      ambush: random.chance(ambushed) ? random.pick(ambushes) : null,
      forMs: random.pick(lengthsMs),
      which: isNext ? before.which : random.next(),
      how: random.next(),
    });
  }
  return inOrder(faults);
}

export const lengthsMs = [200, 1_000, 3_000, 10_000, 25_000, 60_000];

export function inOrder(faults: readonly Omit<PlannedFault, 'index'>[]): PlannedFault[] {
  return faults.toSorted((a, b) => a.at - b.at).map((fault, index) => ({ ...fault, index }));
}

function namesOf<Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] {
  const names: Name[] = [];
  for (const name in table) names.push(name);
  return names;
}
