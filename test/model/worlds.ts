import type { FaultKind } from '#shared/faults.ts';
import type { Desired } from '#shared/lease.ts';
import { type BoxContext, freshContext, freshVault } from '../../controller/src/box/context.ts';
import type { CommandType, Facts, HomeFact, ImageFact } from '../../controller/src/box/facts.ts';
import type { ContainerState, ContainerView } from '../../controller/src/box/observed.ts';
import type { Ownership } from '../../controller/src/box/ownership.ts';
import type { StateValue } from '../../controller/src/box/snapshot.ts';
import {
  alice,
  boxClass,
  containerOf,
  desiredOf,
  drainMode,
  foreignOf,
  imageId,
  now,
  pauseMode,
  rolloutsOn,
  rolloutsPaused,
  runMode,
  spec,
} from '../support/box-facts.ts';

/** A bounded set of values for everything that a pass can find; the model tests take products and samples of them. */

export const values: readonly StateValue[] = [
  'absent',
  { provisioning: 'pulling' },
  { provisioning: 'creating' },
  { provisioning: 'starting' },
  { provisioning: 'probing' },
  { ready: 'active' },
  { ready: 'idle' },
  { reaping: 'stopping' },
  { reaping: 'removing' },
  'failed',
];

const failed = { attempts: 3, failingId: 'box-1', failedGeneration: 5, reason: 'StartFailed', message: 'no' } as const;

/** Memories that a state may have; each is also tried with states that never write it. */
export const contexts: readonly Partial<BoxContext>[] = [
  {},
  { probedId: 'box-1', readyAt: now - 5_000 },
  { ...failed, retryAt: now + 4_000 },
  { ...failed, retryAt: now - 1, probedId: 'box-1' },
  { drainId: 'box-1', drainCause: 'idle' },
  { drainId: 'foreign-1', drainCause: 'adopt', retryAt: now + 1_000 },
  { drainId: 'gone', drainCause: 'reap' },
  { drainId: 'box-1', drainCause: null },
  { keepUntil: now + 60_000, keepCause: 'amnesty', amnestyId: 'amnesty-1', probedId: 'box-1' },
  { ...failed, reason: 'ContainerPaused', retryAt: now + 20_000 },
  { ...failed, reason: 'ForeignContainer', failingId: '', retryAt: now + 20_000 },
  { creationsSeen: 40, vanished: true },
  { place: { at: now - 60_000, memoryBytes: boxClass.limits.memory } },
  { place: { at: now - 60_000, memoryBytes: 1 }, attempts: 1 },
];

/** What may be remembered of a vault in a box that is ready. */
const writtenThere = { ...freshVault, containerId: 'box-1', triedRevision: 7 };
export const vaultMemories: readonly Partial<BoxContext>[] = [
  freshVault,
  { ...writtenThere, applied: { revision: 7, drift: [], at: now - 3_000 } },
  { ...writtenThere, applied: { revision: 7, drift: [{ path: '.bashrc', how: 'edited' as const }], at: now - 3_000 } },
  { ...writtenThere, attempts: 2, retryAt: now + 2_000, reason: 'VaultFailed' as const, message: 'no space' },
  { ...writtenThere, attempts: 2, retryAt: now, reason: 'VaultUnreadable' as const, message: 'key 1 is missing' },
  { ...writtenThere, containerId: 'gone', applied: { revision: 7, drift: [], at: now - 3_000 } },
].map((vault) => ({ probedId: 'box-1', readyAt: now - 5_000, vault }));

/** None, as it was written, and changed since. */
export const vaults: readonly Facts['vault'][] = [{ revision: 0 }, { revision: 7 }, { revision: 8 }];

export const contextOf = (changes: Partial<BoxContext>): BoxContext => ({ ...freshContext, ...changes });

const states: ContainerState[] = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
export const boxes: readonly (ContainerView | null)[] = [
  null,
  ...states.map((state) => containerOf({ state })),
  containerOf({ state: 'exited', oomKilled: true, exitCode: 137 }),
  containerOf({ state: 'running', spec: null }),
];
export const drifted: ContainerView = containerOf({ state: 'exited', spec: { ...spec, cpus: 7 } });
/** It runs, and would be made another way now. */
export const outdated: ContainerView = containerOf({ spec: { ...spec, cpus: 7 } });
/** What may keep it from being replaced although no lease is live. */
export const rollouts: readonly Partial<Facts>[] = [
  {},
  { rollout: rolloutsPaused },
  { sessionsIn: ['box-1'] },
  { sessionsIn: ['another'] },
  { keptUntil: now + 30_000 },
];

/** What is beside the box, and what an operator said to it. */
export interface Beside {
  readonly ownership: Partial<Ownership>;
  readonly foreignExecs: number | null;
  readonly consent: Partial<Desired>;
}
const extra = (state: ContainerState): ContainerView => containerOf({ id: 'extra-1', name: 'extra', state });
const alone: Beside = { ownership: {}, foreignExecs: null, consent: {} };
const consent = { adoptContainerId: 'foreign-1' };
export const besides: readonly Beside[] = [
  alone,
  { ...alone, ownership: { misnamed: true } },
  { ...alone, ownership: { extras: [extra('running')] } },
  { ...alone, ownership: { extras: [extra('exited')] } },
  { ...alone, ownership: { extras: [extra('paused')] } },
  { ...alone, ownership: { foreign: foreignOf() } },
  { ownership: { foreign: foreignOf() }, foreignExecs: 2, consent },
  { ownership: { foreign: foreignOf() }, foreignExecs: 0, consent },
  {
    ownership: { foreign: foreignOf({ state: 'paused' }) },
    foreignExecs: 2,
    consent: { ...consent, adoptAtOnce: true },
  },
  { ownership: { foreign: foreignOf({ state: 'exited' }) }, foreignExecs: 0, consent },
  { ownership: { foreign: foreignOf() }, foreignExecs: 0, consent: { adoptContainerId: 'another' } },
];

export const desires: readonly (Partial<Desired> | null)[] = [
  null,
  {},
  { generation: 9 },
  { generation: 9, reapGeneration: 9 },
  { generation: 9, reapGeneration: 9, deletedAt: now - 10 },
  { generation: 9, recreateGeneration: 9 },
];

export const holders: readonly Partial<Facts>[] = [
  { hasLease: true, wantedUntil: now + 60_000, nextLeaseExpiry: now + 20_000 },
  { hasLease: true, wantedUntil: now - 1, nextLeaseExpiry: now + 20_000 },
  { hasLease: false, wantedUntil: now + 60_000, nextLeaseExpiry: null },
  { hasLease: false, wantedUntil: now, nextLeaseExpiry: null },
];

export const images: readonly ImageFact[] = [
  { state: 'present', id: imageId },
  { state: 'wanted' },
  { state: 'pulling', progress: null },
  { state: 'forbidden' },
  { state: 'unknown' },
];
export const homes: readonly HomeFact[] = [
  { state: 'present', rightOwner: true },
  { state: 'present', rightOwner: false },
  { state: 'absent' },
  { state: 'not-given' },
  { state: 'unusable', message: 'it is a link' },
];
export const classes = [boxClass, null] as const;
export const amnesties: readonly Facts['amnesty'][] = [
  null,
  { id: 'amnesty-1', graceMs: 600_000, cause: 'known' },
  { id: 'amnesty-2', graceMs: 600_000, cause: 'new' },
];

const taken = { taken: 2, limit: 2 };
export const admissions: readonly Facts['admission'][] = [
  { state: 'open' },
  {
    state: 'waits',
    position: 3,
    waiting: 7,
    boxes: taken,
    memoryBytes: { taken: 3 * 1024 ** 3, limit: 4 * 1024 ** 3, needed: boxClass.limits.memory },
    holders: [
      { user: 'bob', isIdle: true },
      { user: 'carol', isIdle: false },
    ],
    moreHolders: 4,
    lookMs: 5_000,
  },
  { state: 'over-budget', memoryBytes: boxClass.limits.memory, budgetBytes: 512 * 1024 ** 2 },
];
/** Whose turn it is to give way, and whether it may. */
export const rooms: readonly Partial<Facts>[] = [
  {},
  { makesRoom: true },
  { makesRoom: true, givesWayAt: now },
  { makesRoom: true, givesWayAt: now + 5_000 },
  { givesWayAt: now },
];

export const modes = [runMode, drainMode, pauseMode] as const;

const ofContainer: CommandType[] = ['create', 'start', 'unpause', 'rename', 'probe', 'stop', 'remove'];
export const faultKinds: FaultKind[] = ['not-found', 'conflict', 'invalid', 'failed', 'timeout', 'unreachable'];
export const outcomes: readonly NonNullable<Facts['last']>[] = [
  ...ofContainer.flatMap((command) => ends(command, 'box-1')),
  ...ends('stop', 'extra-1'),
  ...ends('pull', ''),
  ...ends('ensure-home', ''),
  ...ends('create', ''),
];

/** How writing the vault may have ended; what could be written as a whole, and what not. */
export const vaultOutcomes: readonly NonNullable<Facts['last']>[] = [
  ...ends('write-vault', 'box-1').filter(({ fault }) => fault !== null),
  ...[[], [{ path: '.bashrc', why: 'no space' }]].map((failed) => ({
    ...{ command: 'write-vault' as const, containerId: 'box-1', fault: null },
    vault: { revision: 8, drift: [], failed },
  })),
];

function ends(command: CommandType, containerId: string): NonNullable<Facts['last']>[] {
  const message = 'the engine said no';
  return [null, ...faultKinds].map((kind) => ({
    command,
    containerId,
    fault: kind === null ? null : { kind, operation: command, status: null, message },
  }));
}

/** Facts that could be gathered: a spec is known exactly where class and image are. */
export function worldOf(parts: {
  box: ContainerView | null;
  beside?: Beside;
  desired?: Partial<Desired> | null;
  rest?: Partial<Facts>;
}): Facts {
  const { box, beside = alone, desired = {}, rest = {} } = parts;
  const facts: Facts = {
    now,
    user: alice,
    desired: desired === null ? null : desiredOf({ ...desired, ...beside.consent }),
    hasLease: true,
    wantedUntil: now + 60_000,
    keptUntil: 0,
    sessionsIn: [],
    givesWayAt: null,
    makesRoom: false,
    admission: { state: 'open' },
    nextLeaseExpiry: now + 20_000,
    engineDown: null,
    ownership: { box, misnamed: false, extras: [], foreign: null, ...beside.ownership },
    foreignExecs: beside.foreignExecs,
    homeUsage: null,
    boxClass,
    image: { state: 'present', id: imageId },
    home: { state: 'present', rightOwner: true },
    spec,
    last: null,
    vault: { revision: 0 },
    stopping: [],
    amnesty: null,
    orphanGraceMs: 1_800_000,
    mode: runMode,
    rollout: rolloutsOn,
    pacedUntil: null,
    ...rest,
  };
  // Without a box there is none beside it, and none that has a wrong name.
  const { ownership } = facts;
  const own = box === null ? { ...ownership, extras: [], misnamed: false } : ownership;
  const isKnown = facts.boxClass !== null && facts.image.state === 'present';
  return {
    ...facts,
    ownership: own,
    spec: isKnown ? spec : null,
    image: facts.boxClass ? facts.image : { state: 'unknown' },
  };
}

/** Every choice of one value from each list. */
export function product<Lists extends readonly (readonly unknown[])[]>(...lists: Lists): Generator<Choice<Lists>> {
  return oneIn(1, ...lists);
}

/** One in `step` of the choices, so that every pair of values is met. */
export function* oneIn<Lists extends readonly (readonly unknown[])[]>(
  step: number,
  ...lists: Lists
): Generator<Choice<Lists>> {
  mustMeetPairs(step, lists);
  const total = lists.reduce((count, list) => count * list.length, 1);
  for (let n = 0; n < total; n += step) {
    let rest = n;
    // The one place that ties an index to its list; the mapped type says what the loop does.
    yield lists.map((list) => {
      const value = list[rest % list.length];
      rest = Math.floor(rest / list.length);
      return value;
    }) as Choice<Lists>;
  }
}

type Choice<Lists extends readonly (readonly unknown[])[]> = { [Index in keyof Lists]: Lists[Index][number] };

/**
 * Two values are met where the other lists alone reach every remainder of `step`: they do, by Cauchy and Davenport, where it is
 * a prime that divides none of their lengths, and they have that many values between them.
 */
function mustMeetPairs(step: number, lists: readonly (readonly unknown[])[]): void {
  const isPrime = Array.from({ length: Math.max(0, step - 2) }, (_, index) => index + 2).every((n) => step % n !== 0);
  const others = lists.map(({ length }) => length - 1).toSorted((one, other) => other - one);
  const reached = 1 + others.slice(2).reduce((sum, count) => sum + count, 0);
  const divides = step > 1 && lists.some(({ length }) => length % step === 0);
  if (!isPrime || divides || reached < step) throw new Error(`one in ${step} does not meet every pair of values`);
}
