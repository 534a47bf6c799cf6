import type { BoxView } from '#shared/api-schemas.ts';
import type { BoxClasses } from '#shared/box-class.ts';
import { homeViewOf, quotaOf } from '#shared/home-usage.ts';
import type { Desired, Lease, Session } from '#shared/lease.ts';
import { type BoxRecord, isUsable } from '#shared/status.ts';
import { waitOf, whyOf } from './why.ts';

/** What the API tells of a box. Pure; looking changes nothing. */
export function viewOf(record: BoxRecord, classes: BoxClasses): BoxView {
  const { user, now, desired, status, leases } = record;
  const phase = status?.phase ?? 'absent';
  const idle = desired ? (classes.get(desired.class)?.idle ?? null) : null;
  // Activity alone holds a box that is there; it never makes one.
  const held = record.wantedUntil > now && (phase !== 'absent' || leases.length > 0);
  return {
    user,
    now,
    phase,
    step: status?.step ?? null,
    message: status?.message ?? (leases.length > 0 ? waitOf(null) : ''),
    ready: isReady(record),
    class: desired?.class ?? null,
    containerId: status?.containerId ?? null,
    readyAt: status?.readyAt ?? null,
    until: held ? record.wantedUntil : null,
    why: whyOf(record, idle),
    progress: status?.progress ?? null,
    conditions: status?.conditions ?? [],
    leases: leases.map(leaseView).toSorted((a, b) => a.takenAt - b.takenAt),
    endedLeases: record.ended.flatMap(endedLease).toSorted((a, b) => b.endedAt - a.endedAt),
    sessions: record.sessions.map(sessionView).toSorted((a, b) => a.startedAt - b.startedAt),
    desired: desired === null ? null : desiredView(desired),
    lastReap: status?.lastReap ?? null,
    home: homeOf(record, classes),
  };
}

/** Nothing at all is known of this user. */
export function isUnknown(record: BoxRecord): boolean {
  const { desired, status, leases, ended, sessions } = record;
  return desired === null && status === null && leases.length + ended.length + sessions.length === 0;
}

/** Ready, and not about to be drained for a wish that the reconciler has not seen yet. */
export function isReady({ status, desired }: BoxRecord): boolean {
  if (!isUsable(status)) return false;
  if (desired === null) return true;
  return status.containerGeneration >= Math.max(desired.reapGeneration, desired.recreateGeneration);
}

/** The class that it is to have counts, where somebody named one: the box that was looked from may be an earlier one. */
function homeOf({ homeUsage, desired }: BoxRecord, classes: BoxClasses): BoxView['home'] {
  return homeUsage === null ? null : homeViewOf(homeUsage, quotaOf(desired?.class ?? homeUsage.class, classes));
}

function endedLease(lease: Lease): BoxView['endedLeases'] {
  const { endedAt, endReason } = lease;
  return endedAt === undefined || endReason === undefined ? [] : [{ ...leaseView(lease), endedAt, endReason }];
}

function leaseView({ trace: _, ...lease }: Lease): BoxView['leases'][number] {
  return lease;
}

function sessionView({ tickets: _, directory: __, checkout: ___, ...session }: Session): BoxView['sessions'][number] {
  return session;
}

function desiredView(desired: Desired): BoxView['desired'] {
  return { ...desired, deletedAt: desired.deletedAt ?? null };
}
