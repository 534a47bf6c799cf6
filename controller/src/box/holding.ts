import type { DrainCause } from '#shared/status.ts';
import type { BoxContext } from './context.ts';
import type { Facts } from './facts.ts';
import type { ContainerView } from './observed.ts';
import { isLive } from './ownership.ts';
import { differingFields } from './spec.ts';

/** A container that is there at this many faults in a row is replaced instead of started once more. */
const faultsBeforeReplacement = 2;

export type Keep = Pick<BoxContext, 'keepUntil' | 'keepCause' | 'amnestyId' | 'orphanGranted' | 'isLost'>;

/**
 * Unknown is not idle: a running box is granted time when Redis is not trusted to know its holders, once per amnesty; once
 * when there is no desired state; and when the memory of earlier grants is lost. A grant is never taken back, only outlived.
 */
export function keepOf(context: BoxContext, facts: Facts): Keep {
  const { keepUntil, keepCause, amnestyId } = context;
  const { amnesty, desired, engineDown, ownership, orphanGraceMs } = facts;
  // It may lose its desired state a second time, and is granted time again then.
  const orphanGranted = desired === null && context.orphanGranted;
  const unchanged = { keepUntil, keepCause, amnestyId, orphanGranted, isLost: context.isLost && engineDown !== null };
  if (ownership.box === null || !isLive(ownership.box)) return unchanged;
  const isOrphan = desired === null && !orphanGranted;
  const isNewAmnesty = amnesty !== null && amnesty.id !== amnestyId;
  if (!isNewAmnesty && !isOrphan && !context.isLost) return unchanged;
  const causes = [
    isNewAmnesty ? amnesty.cause : null,
    isOrphan ? 'its desired state was lost' : null,
    context.isLost ? 'its status was lost' : null,
  ];
  return {
    keepUntil: Math.max(keepUntil, facts.now + (isNewAmnesty ? amnesty.graceMs : orphanGraceMs)),
    keepCause: causes.filter((cause) => cause !== null).join('; '),
    amnestyId: amnesty?.id ?? amnestyId,
    orphanGranted: desired === null,
    isLost: false,
  };
}

/** A running box is kept while `now` is before this (Redis TIME, ms). */
export function wantedUntilOf(context: BoxContext, facts: Facts): number {
  return Math.max(facts.wantedUntil, keepOf(context, facts).keepUntil);
}

/** Nobody needs the box any more; the pacer may still make it wait. */
export function isIdleDue(context: BoxContext, facts: Facts): boolean {
  return facts.now >= wantedUntilOf(context, facts);
}

/**
 * It is idle, and may go before its time for others who wait: nobody holds it, nobody may come back to a terminal in it, and
 * only activity of some time ago keeps it. No pacer: there are never more of these than it takes for those who wait.
 */
function givesWay(context: BoxContext, facts: Facts): boolean {
  const { givesWayAt, hasLease, now } = facts;
  return !hasLease && givesWayAt !== null && now >= Math.max(givesWayAt, keepOf(context, facts).keepUntil);
}

/** Why the user's own box has to go now; null = it stays. The commit asks Redis the same question again. */
export function drainOf(context: BoxContext, facts: Facts): DrainCause | null {
  const { box } = facts.ownership;
  if (box === null) return null;
  const wish = wishOver(box, facts);
  if (wish !== null) return wish;
  if (isLive(box)) {
    if (facts.pacedUntil === null) {
      if (isIdleDue(context, facts)) return 'idle';
      if (isRolloutDue(context, facts)) return 'rollout';
    }
    return facts.makesRoom && givesWay(context, facts) ? 'gave-way' : null;
  }
  if (!facts.hasLease) return 'stopped';
  if (context.failingId === box.id && context.attempts >= faultsBeforeReplacement) return 'stopped';
  return driftOf(facts).length > 0 ? 'stopped' : null;
}

/**
 * The box runs, is not as it would be made now, and nobody holds it: no lease, no grant of time, no terminal whose user may come
 * back. It goes before its idle time is over, so that its user finds a current one; the pacer may still make it wait. Who uses a
 * box keeps it as it is: it takes the new spec when it is made the next time, or when an operator says `recreate`.
 */
export function isRolloutDue(context: BoxContext, facts: Facts): boolean {
  const { desired, hasLease, keptUntil, mode, now, ownership, rollout, sessionsIn } = facts;
  const { box } = ownership;
  if (box?.state !== 'running' || desired === null || hasLease) return false;
  // Under a drain there would be no new one.
  if (rollout.paused || mode.mode !== 'run' || sessionsIn.includes(box.id)) return false;
  return now >= Math.max(keptUntil, keepOf(context, facts).keepUntil) && driftOf(facts).length > 0;
}

/** Fields in which the box differs from what would be made now. */
export function driftOf(facts: Facts): string[] {
  const { box } = facts.ownership;
  if (box === null || facts.spec === null) return [];
  return box.spec === null ? ['spec'] : differingFields(box.spec, facts.spec);
}

function wishOver(box: ContainerView, facts: Facts): DrainCause | null {
  const { desired } = facts;
  if (desired === null) return null;
  if (box.generation < desired.reapGeneration) return desired.deletedAt === undefined ? 'reap' : 'deleted';
  return box.generation < desired.recreateGeneration ? 'recreate' : null;
}
