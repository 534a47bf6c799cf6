import type { Fault } from '#shared/faults.ts';
import type { Reason } from '#shared/status.ts';
import type { BoxContext } from './context.ts';
import type { CommandType, Facts } from './facts.ts';

const backoffFirstMs = 1_000;
const backoffMaxMs = 60_000;
/** A box that was ready for this long has left its old faults behind. */
const stableAfterMs = 60_000;
/** What an init, like a shell, ends with when there is no such program. */
const notFoundCode = 127;
/** Causes that only somebody outside can remove are looked at again this often; events make it sooner. */
const outsideCauseRetryMs = 30_000;
/** No time of a next try is set further ahead than this. */
export const longestRetryMs = Math.max(backoffMaxMs, outsideCauseRetryMs);

type Failure = Pick<
  BoxContext,
  'attempts' | 'retryAt' | 'reason' | 'message' | 'failingId' | 'failedGeneration' | 'readyAt'
>;

/** The wait before try `attempts + 1`: none after the first fault, then doubling. */
export function backoffMs(attempts: number): number {
  return attempts <= 1 ? 0 : Math.min(backoffFirstMs * 2 ** (attempts - 2), backoffMaxMs);
}

/** One more fault in a row; the count starts again when the box was ready for a while. */
export function failure(context: BoxContext, facts: Facts, reason: Reason, message: string): Failure {
  const wasStable = context.readyAt !== null && facts.now - context.readyAt >= stableAfterMs;
  const attempts = (wasStable ? 0 : context.attempts) + 1;
  return { ...failureAt(facts, reason, message), attempts, retryAt: facts.now + backoffMs(attempts) };
}

/** A cause outside that trying again does not remove: no count, a fixed look from time to time. */
export function outsideFailure(context: BoxContext, facts: Facts, reason: Reason, message: string): Failure {
  return { ...failureAt(facts, reason, message), attempts: context.attempts, retryAt: facts.now + outsideCauseRetryMs };
}

/** Somebody paused the box: it stays so until somebody needs it. */
export function pausedFailure(context: BoxContext, facts: Facts): Failure {
  const message = 'the container was paused by hand; a lease unpauses it';
  const paused = outsideFailure(context, facts, 'ContainerPaused', message);
  return facts.hasLease ? { ...paused, retryAt: facts.now } : paused;
}

function failureAt(facts: Facts, reason: Reason, message: string): Failure {
  const failedGeneration = facts.desired?.generation ?? 0;
  const failingId = facts.ownership.box?.id ?? '';
  return { attempts: 0, retryAt: 0, reason, message, failingId, failedGeneration, readyAt: null };
}

/** The commands whose faults concern a box that is being made, things beside a ready box, and a drain. */
const commandsOf = {
  making: ['pull', 'ensure-home', 'create', 'start', 'unpause', 'probe'],
  beside: ['stop', 'remove', 'unpause', 'rename'],
  drain: ['stop', 'remove', 'unpause'],
} as const satisfies Readonly<Record<string, readonly CommandType[]>>;

/**
 * The fault of the last command, unless looking again already answered it, or it belongs to another part of the life: a
 * pull or a stop may end when its user's box is long past it.
 */
export function realFault(facts: Facts, part: keyof typeof commandsOf): Fault | null {
  const { last, ownership } = facts;
  if (last === null || last.fault === null) return null;
  if (!commandsOf[part].some((command) => command === last.command)) return null;
  const nameIsOurs = last.command === 'create' && last.fault.kind === 'conflict' && ownership.box !== null;
  return nameIsOurs ? null : last.fault;
}

const reasonOfCommand: Readonly<Record<CommandType, Reason>> = {
  none: 'Provisioning',
  pull: 'PullFailed',
  'ensure-home': 'HomeFailed',
  create: 'CreateFailed',
  start: 'StartFailed',
  unpause: 'StartFailed',
  rename: 'RenameFailed',
  probe: 'ProbeFailed',
  'write-vault': 'VaultFailed',
  stop: 'StopFailed',
  remove: 'RemoveFailed',
  forget: 'RemoveFailed',
};

export function faultFailure(context: BoxContext, facts: Facts): Failure {
  const command = facts.last?.command ?? 'none';
  const message = facts.last?.fault?.message ?? '';
  return failure(context, facts, reasonOfCommand[command], message);
}

/** The container ended, or is gone, under somebody who needs it. */
export function died(context: BoxContext, facts: Facts): Partial<BoxContext> {
  const { box } = facts.ownership;
  if (box === null)
    return failure(context, facts, 'ContainerGone', 'the container is gone; it was not removed by Spoonbox');
  if (box.oomKilled) return failure(context, facts, 'OutOfMemory', 'the box ran out of memory and was killed');
  const code = box.exitCode === null ? '' : ` with exit code ${box.exitCode}`;
  const program = facts.boxClass?.command[0] ?? 'such program';
  // The init of a box answers so; without one the engine refuses the start.
  const hint = box.exitCode === notFoundCode ? `, as it does when its image has no ${program}` : '';
  return failure(context, facts, 'ContainerDied', `the container ended${code}${hint}`);
}
