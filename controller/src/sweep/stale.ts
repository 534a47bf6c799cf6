import { sweeper } from '#shared/box-store.ts';
import type { Lease, Session } from '#shared/lease.ts';

/** What decides about sessions; times are Redis TIME, ms. */
export interface SweepFacts {
  readonly now: number;
  /** how long Redis has been trusted without a break */
  readonly trustedForMs: number;
  /** a session's grace without any socket, as gateways have it */
  readonly graceMs: number;
  /** for how long a gateway has been gone; 0 = it lives */
  readonly goneForMs: (gateway: string) => number;
  readonly leases: readonly Lease[];
}

export interface StaleSession {
  readonly session: Session;
  readonly why: string;
  /** its gateway lives: it may be about to write what is missing here, so look twice */
  readonly lookTwice: boolean;
}

/** Before that what is missing in Redis means nothing: its owner may not have written it again. */
export const trustNeededMs = 5 * 60_000;
/** What the id of a command's lease begins with; its mark follows. */
export const jobLease = 'exec:';
/** What is gone for so long does not come back by itself. */
export const goneMs = 60_000;

/**
 * The sessions that no gateway owns any more: their gateway is gone, or lives and does not know them. Where the shell can
 * outlive its gateway (`persist: tmux`), another gateway may still resume it: the grace comes on top.
 */
export function staleSessions(sessions: readonly Session[], facts: SweepFacts): StaleSession[] {
  const { now, trustedForMs, graceMs, goneForMs, leases } = facts;
  const stale: StaleSession[] = [];
  if (trustedForMs < goneMs) return stale;
  for (const session of sessions) {
    if (session.gateway === sweeper) {
      stale.push({ session, why: 'its end was not finished', lookTwice: false });
      continue;
    }
    const goneFor = goneForMs(session.gateway);
    if (goneFor > 0) {
      if (goneFor < goneMs + (session.persist === 'none' ? 0 : graceMs)) continue;
      stale.push({ session, why: `its gateway ${session.gateway} is gone`, lookTwice: false });
      continue;
    }
    const isAttached = leases.some(({ id }) => id.startsWith(`terminal:${session.id}:`));
    const isKept = session.detachedAt > 0 && isWithin(now - session.detachedAt, graceMs + goneMs);
    const isNew = isWithin(now - session.startedAt, goneMs);
    if (isAttached || isKept || isNew || trustedForMs < trustNeededMs) continue;
    stale.push({ session, why: `its gateway ${session.gateway} does not know it any more`, lookTwice: true });
  }
  return stale;
}

/** A time ahead of now was written before Redis' clock was set back, and so long ago. */
function isWithin(agoMs: number, ms: number): boolean {
  return agoMs >= 0 && agoMs <= ms;
}

/** Whether somebody answers for what runs under this mark: a session that is recorded, or a terminal's or job's live lease. */
export function isOwned(
  mark: string,
  of: { readonly sessions: readonly Session[]; readonly leases: readonly Lease[] },
): boolean {
  return (
    of.sessions.some(({ id }) => id === mark) ||
    of.leases.some(({ id }) => id === mark || id === `${jobLease}${mark}` || id.startsWith(`terminal:${mark}:`))
  );
}
