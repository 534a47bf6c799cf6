import { z } from 'zod';
import type { BoxClasses } from '#shared/box-class.ts';
import { defaultClassName } from '#shared/classes.ts';
import { type Lease, orderOf } from '#shared/lease.ts';
import type { BoxRecord, BoxStatus } from '#shared/status.ts';
import { memoryOf, waitOfPlace } from '../box/admitting.ts';
import { BoxContext, type Place } from '../box/context.ts';
import type { Facts } from '../box/facts.ts';
import { isLive } from '../box/ownership.ts';
import type { Plan } from '../box/plan.ts';

/** What one user has of the limits, or waits for. All times are Redis TIME in ms. */
export interface Standing {
  /** that run, or may at any moment */
  readonly boxes: number;
  readonly memoryBytes: number;
  readonly state: 'held' | 'idle' | 'leaving';
  /** of the last activity; the longest idle box gives way first */
  readonly idleSince: number;
  /** null = never, as things are */
  readonly givesWayAt: number | null;
  readonly waits: Wish | null;
}

/** What somebody who waits asks for. */
export interface Wish {
  /** the lowest is the first in line */
  readonly order: number;
  readonly memoryBytes: number;
}

/** As a pass concluded it; null = neither has this user a box, nor waits for one. Not of a pass to which the engine did not answer. */
export function standingOf(record: BoxRecord, { plan, facts }: { plan: Plan; facts: Facts }): Standing | null {
  const { box, extras } = facts.ownership;
  const running = [...(box === null ? [] : [box]), ...extras].filter(isLive);
  const { place, keepUntil } = plan.context;
  // One that failed waits for its time first, and is shown as failed: nobody is to give way for it before.
  const isInLine = plan.phase === 'absent' && waitOfPlace(plan.context, facts) !== null;
  const waits = isInLine ? wishOf(record.leases, memoryOfClass(facts)) : null;
  const boxes = Math.max(running.length, place === null ? 0 : 1);
  if (boxes === 0 && waits === null) return null;
  const ofRunning = running.reduce((sum, container) => sum + memoryOf(container, facts), 0);
  const memoryBytes = running.length > 0 ? ofRunning : (place?.memoryBytes ?? 0);
  const mayGo = plan.phase === 'ready' && facts.givesWayAt !== null;
  return {
    boxes,
    memoryBytes,
    state: plan.phase === 'reaping' ? 'leaving' : facts.hasLease ? 'held' : 'idle',
    idleSince: record.desired?.lastActivityAt ?? record.now,
    givesWayAt: mayGo && facts.givesWayAt !== null ? Math.max(facts.givesWayAt, keepUntil) : null,
    waits,
  };
}

/** The same, as far as Redis tells it: for whoever does not lead. */
export function storedStandingOf(record: BoxRecord, classes: BoxClasses): Standing | null {
  const { status, leases, desired, now } = record;
  const place = storedPlaceOf(status);
  const ofClass = classes.get(desired?.class ?? defaultClassName)?.limits.memory ?? 0;
  const has = status !== null && (place !== null || (status.containerId !== null && status.phase !== 'absent'));
  const waits = isWaiting(record) ? wishOf(leases, ofClass) : null;
  if (!has && waits === null) return null;
  return {
    boxes: has ? 1 : 0,
    memoryBytes: has ? (place?.memoryBytes ?? ofClass) : 0,
    state: status?.phase === 'reaping' ? 'leaving' : leases.length > 0 ? 'held' : 'idle',
    idleSince: desired?.lastActivityAt ?? now,
    givesWayAt: status?.phase === 'ready' ? record.givesWayAt : null,
    waits,
  };
}

/** The last pass found no place for it, and somebody still asks. */
export function isWaiting({ status, leases }: BoxRecord): boolean {
  const ready = status?.conditions.find(({ type }) => type === 'Ready');
  return leases.length > 0 && ready?.reason === 'AdmissionWait';
}

export function wishOf(leases: readonly Lease[], memoryBytes: number): Wish | null {
  return leases.length === 0 ? null : { order: Math.min(...leases.map(orderOf)), memoryBytes };
}

const Placed = BoxContext.pick({ place: true });

export function storedPlaceOf(status: BoxStatus | null): Place | null {
  return Placed.or(z.unknown().transform(() => ({ place: null }))).parse(status?.context).place;
}

function memoryOfClass({ boxClass }: Facts): number {
  return boxClass?.limits.memory ?? 0;
}
