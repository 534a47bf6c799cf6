import { z } from 'zod';
import { Checkout } from './checkout.ts';
import { LeaseId, UserName } from './identity.ts';

/**
 * A lease: one holder's named, time-limited claim on a box.
 * `terminal` is a gateway's for an attached socket, `job` an agent's while it works, `pin` an operator's.
 */
export const LeaseKind = z.enum(['terminal', 'job', 'pin']);
export type LeaseKind = z.infer<typeof LeaseKind>;

/** How urgent a lease's box is to its holder, where more are asked for than may run. */
export const LeasePriority = z.enum(['low', 'normal', 'high']);
export type LeasePriority = z.infer<typeof LeasePriority>;

/**
 * By how much a lease stands as if it had been taken earlier (ms). Being a head start and no rank, it lets nobody starve: whoever
 * comes later than another by more than the difference of two of these never gets in first.
 */
const headStartMs: Readonly<Record<LeasePriority, number>> = { low: -15 * 60_000, normal: 0, high: 5 * 60_000 };

/** Of a lease that says nothing: a person looks at a terminal and waits, a job can. */
export function priorityOf({ kind, priority }: Pick<Lease, 'kind' | 'priority'>): LeasePriority {
  return priority ?? (kind === 'terminal' ? 'high' : 'normal');
}

/** Where a lease stands among those who wait for a box: the lowest is first (Redis TIME in ms, moved by its head start). */
export function orderOf(lease: Pick<Lease, 'kind' | 'priority' | 'takenAt'>): number {
  return lease.takenAt - headStartMs[priorityOf(lease)];
}

const minTtlMs = 10_000;
const maxTtlMs: Record<LeaseKind, number> = { terminal: 300_000, job: 300_000, pin: 30 * 24 * 3_600_000 };

/** The longest time that a lost lease may have had left: what an amnesty must cover. */
export const largestRenewedTtlMs = 300_000;

/** Why `ttlMs` does not fit a lease of this kind; null where it does. */
export function refusedTtl(kind: LeaseKind, ttlMs: number): string | null {
  if (Number.isInteger(ttlMs) && ttlMs >= minTtlMs && ttlMs <= maxTtlMs[kind]) return null;
  return `ttlMs of a ${kind} lease is a whole number from ${minTtlMs} to ${maxTtlMs[kind]}, not ${ttlMs}`;
}

/** Why a lease ended. `reaped`, `deleted` and `attached-idle` end it from outside and are no activity. */
export const LeaseEndReason = z.enum(['released', 'expired', 'reaped', 'deleted', 'attached-idle']);
export type LeaseEndReason = z.infer<typeof LeaseEndReason>;

/** What of a terminal is written into a file: what it shows, or also what is typed. */
export const Recorded = z.enum(['output', 'input']);
export type Recorded = z.infer<typeof Recorded>;

/** As stored; all times are Redis TIME in ms. `endedAt` makes it a tombstone, kept for 10 minutes. */
export const Lease = z.object({
  id: LeaseId,
  kind: LeaseKind,
  holder: z.string(),
  takenAt: z.number(),
  expiresAt: z.number(),
  ttlMs: z.number(),
  /** none: as `priorityOf` says */
  priority: LeasePriority.optional().catch(undefined),
  /** W3C trace context of the request that took it: passes that make the box go on with that trace */
  trace: z.string().optional(),
  /** terminals of the user that open while it lives are recorded; what cannot be read asks for nothing */
  record: Recorded.optional().catch(undefined),
  /** where commands start that name this lease */
  checkout: Checkout.optional().catch(undefined),
  endedAt: z.number().optional(),
  endReason: LeaseEndReason.optional(),
});
export type Lease = z.infer<typeof Lease>;

/** What holds a running box, and until when (Redis TIME, ms). */
export const Hold = z.object({
  by: z.enum(['job', 'pin', 'attached', 'activity', 'keep']),
  /** the lease's holder; for `attached` and `activity` the last activity's cause; for `keep` why it is kept */
  holder: z.string(),
  untilMs: z.number(),
});
export type Hold = z.infer<typeof Hold>;

/** What ought to be, written by lease holders and operators, never by the reconciler. */
export const Desired = z.object({
  class: z.string(),
  generation: z.coerce.number(),
  lastActivityAt: z.coerce.number().default(0),
  lastActivityCause: z.string().default(''),
  lastInputAt: z.coerce.number().default(0),
  /** a container of an older generation is to be reaped */
  reapGeneration: z.coerce.number().default(0),
  /** a container of an older generation is to be replaced now, leases or not */
  recreateGeneration: z.coerce.number().default(0),
  /** the container that an operator allowed to replace although it is not ours: its id, or 12 digits or more of it */
  adoptContainerId: z.string().default(''),
  adoptAtOnce: z
    .string()
    .transform((flag) => flag === '1')
    .default(false),
  deletedAt: z.coerce.number().optional(),
});
export type Desired = z.infer<typeof Desired>;

/** Whether the shell of a terminal goes on without its gateway: `tmux` needs it in the image. */
export const Persist = z.enum(['none', 'tmux']);
export type Persist = z.infer<typeof Persist>;

/** Lets one socket in, in the place of an earlier one. Only the hash is stored. */
export const StoredTicket = z.object({ hash: z.string(), mode: z.enum(['rw', 'ro']), name: z.string() });
export type StoredTicket = z.infer<typeof StoredTicket>;

/** A terminal session as a gateway records it. */
export const Session = z.object({
  id: z.string(),
  user: UserName,
  gateway: z.string(),
  containerId: z.string(),
  execId: z.string(),
  mode: z.enum(['rw', 'ro']),
  startedAt: z.number(),
  persist: Persist.default('none'),
  /** when its last socket left (Redis TIME, ms); 0 = somebody is attached */
  detachedAt: z.number().default(0),
  record: z.enum(['off', 'output', 'input']).default('off'),
  /** where its shells begin, as the token named it: also the one that follows on another gateway */
  directory: z.string().optional().catch(undefined),
  checkout: Checkout.optional().catch(undefined),
  /** with `persist: tmux`, so that another gateway can resume it; the newest last */
  tickets: z.array(StoredTicket).default([]),
  /** the sweep ends it; until then (Redis TIME, ms) nobody else can have it */
  endingUntil: z.number().optional(),
});
export type Session = z.infer<typeof Session>;
