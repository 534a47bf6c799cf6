import type { DrainCause } from '#shared/status.ts';
import type { BoxContext } from './context.ts';
import type { Facts } from './facts.ts';
import type { ContainerView } from './observed.ts';
import { isLive } from './ownership.ts';
import { differingFields } from './spec.ts';

/** A container that is there at this many faults in a row is replaced instead of started once more. */
const faultsBeforeReplacement = 2;

/** Marks, at the end of a cause, that the time of a box without desired state was granted. */
const orphanCause = 'it runs without desired state';
const orphanCauseOver = 'it ran without desired state';

export type Keep = Pick<BoxContext, 'keepUntil' | 'keepCause' | 'amnestyId'>;

/**
 * Unknown is not idle: a running box is granted time when Redis is not trusted to know its holders, once per amnesty, and
 * once when there is no desired state at all. A grant is never taken back, only outlived.
 */
export function keepOf(context: BoxContext, facts: Facts): Keep {
  const { keepUntil, keepCause, amnestyId } = context;
  const { box } = facts.ownership;
  if (box === null || !isLive(box)) return { keepUntil, keepCause, amnestyId };
  const { amnesty } = facts;
  if (amnesty !== null && amnesty.id !== amnestyId) {
    return {
      keepUntil: Math.max(keepUntil, facts.now + amnesty.graceMs),
      keepCause: facts.desired === null ? `${amnesty.cause}; ${orphanCause}` : amnesty.cause,
      amnestyId: amnesty.id,
    };
  }
  const isOrphans = keepCause.endsWith(orphanCause);
  if (facts.desired === null && !isOrphans) {
    return { keepUntil: Math.max(keepUntil, facts.now + facts.orphanGraceMs), keepCause: orphanCause, amnestyId };
  }
  // It may lose its desired state a second time, and is granted time again then.
  const isOver = facts.desired !== null && isOrphans;
  return { keepUntil, keepCause: isOver ? keepCause.replace(orphanCause, orphanCauseOver) : keepCause, amnestyId };
}

/** A running box is kept while `now` is before this (Redis TIME, ms). */
export function wantedUntilOf(context: BoxContext, facts: Facts): number {
  return Math.max(facts.wantedUntil, keepOf(context, facts).keepUntil);
}

/** Nobody needs the box any more; the pacer may still make it wait. */
export function isIdleDue(context: BoxContext, facts: Facts): boolean {
  return facts.now >= wantedUntilOf(context, facts);
}

/** Why the user's own box has to go now; null = it stays. The commit asks Redis the same question again. */
export function drainOf(context: BoxContext, facts: Facts): DrainCause | null {
  const { box } = facts.ownership;
  if (box === null) return null;
  const wish = wishOver(box, facts);
  if (wish !== null) return wish;
  if (isLive(box)) return isIdleDue(context, facts) && facts.pacedUntil === null ? 'idle' : null;
  if (!facts.hasLease) return 'stopped';
  if (context.failingId === box.id && context.attempts >= faultsBeforeReplacement) return 'stopped';
  return driftOf(facts).length > 0 ? 'stopped' : null;
}

/**
 * Fields in which the box differs from what would be made now. A running box is never replaced for them: it takes the new
 * spec when it is made the next time, or when an operator says `recreate`.
 */
export function driftOf(facts: Facts): string[] {
  const { box } = facts.ownership;
  if (box === null || facts.spec === null) return [];
  return box.spec === null ? ['spec'] : differingFields(box.spec, facts.spec);
}

/** The foreign container under the box's name, where an operator consented to its replacement. */
export function consentedForeign(facts: Facts): ContainerView | null {
  const { foreign } = facts.ownership;
  return foreign !== null && facts.desired?.adoptContainerId === foreign.id ? foreign : null;
}

/** The same, once it may really go: nothing is executed in it any more, or the operator said now. */
export function adoptable(facts: Facts): ContainerView | null {
  const foreign = consentedForeign(facts);
  if (foreign === null) return null;
  return !isLive(foreign) || facts.desired?.adoptAtOnce || facts.foreignExecs === 0 ? foreign : null;
}

function wishOver(box: ContainerView, facts: Facts): DrainCause | null {
  const { desired } = facts;
  if (desired === null) return null;
  if (box.generation < desired.reapGeneration) return desired.deletedAt === undefined ? 'reap' : 'deleted';
  return box.generation < desired.recreateGeneration ? 'recreate' : null;
}
