import type { BoxStore } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import type { LeaseId, UserName } from '#shared/identity.ts';
import { ProblemError } from '#shared/problem.ts';
import type { BoxRecord } from '#shared/status.ts';
import { isReady } from './box-view.ts';
import type { Changes } from './changes.ts';
import { fromStore } from './problem-reply.ts';

/** A wake-up may be lost; then a waiting request looks again by itself after this long. */
const safetyNetMs = 1_000;
/** A lease lives while its holder waits: it is renewed this many times within its ttl. */
const renewalsPerTtl = 3;

export interface HeldLease {
  readonly id: LeaseId;
  readonly ttlMs: number;
  readonly expiresAt: number;
}

export interface WaitedLease {
  readonly record: BoxRecord;
  readonly expiresAt: number;
}

/**
 * Reads the box until it is ready, or until `waitMs` have passed, or until `signal` is aborted (the client has gone, or
 * the process ends); then answers with what it saw last. Meanwhile it renews the lease, whose holder is here and waiting.
 */
export async function waitUntilReady(
  on: { store: BoxStore; changes: Changes; clock: Clock },
  user: UserName,
  lease: HeldLease,
  waitMs: number,
  signal: AbortSignal,
): Promise<WaitedLease> {
  const { store, changes, clock } = on;
  const endsAt = clock.monotonicMs() + waitMs;
  let renewAt = clock.monotonicMs() + lease.ttlMs / renewalsPerTtl;
  let expiresAt = lease.expiresAt;
  const bell = createBell(clock, signal);
  const stopListening = changes.listen((changed) => {
    if (changed === null || changed === user) bell.ring();
  });
  try {
    for (;;) {
      bell.reset();
      const record = await fromStore(store.read(user));
      const now = clock.monotonicMs();
      // A renewal also tells why a lease is not there any more.
      if (now >= renewAt || !record.leases.some(({ id }) => id === lease.id)) {
        expiresAt = await renewed(store, user, lease);
        renewAt = now + lease.ttlMs / renewalsPerTtl;
      }
      if (isReady(record) || now >= endsAt || signal.aborted) return { record, expiresAt };
      await bell.wait(Math.min(safetyNetMs, endsAt - now));
    }
  } finally {
    stopListening();
  }
}

async function renewed(store: BoxStore, user: UserName, lease: HeldLease): Promise<number> {
  const renewal = await fromStore(store.renew(user, lease.id, lease.ttlMs, { inputAgeMs: null, outputAgeMs: null }));
  if (renewal.ok) return renewal.expiresAt;
  throw leaseGone(lease.id, renewal);
}

/** Why a lease cannot be renewed, as the problem to answer with. */
export function leaseGone(
  id: LeaseId,
  refusal: { refused: 'lease-ended'; reason: string } | { refused: 'lease-unknown' },
): ProblemError {
  if (refusal.refused === 'lease-unknown') {
    return new ProblemError(
      'lease-unknown',
      `lease ${id} is not known: it was never taken, or Redis lost it; take it again`,
    );
  }
  return new ProblemError(
    'lease-ended',
    `lease ${id} has ended: ${refusal.reason}. An ended lease never comes back; take a new one if the box is still needed`,
    { extras: { reason: refusal.reason } },
  );
}

/** A latch: a ring between `reset` and `wait` is not lost. */
function createBell(
  clock: Clock,
  signal: AbortSignal,
): { reset(): void; ring(): void; wait(ms: number): Promise<void> } {
  let rung = false;
  let wake: (() => void) | null = null;
  return {
    reset() {
      rung = false;
    },
    ring() {
      rung = true;
      wake?.();
    },
    async wait(ms) {
      if (rung || signal.aborted) return;
      await new Promise<void>((resolve) => {
        const settle = (): void => {
          cancel();
          wake = null;
          signal.removeEventListener('abort', settle);
          resolve();
        };
        const cancel = clock.after(ms, settle);
        wake = settle;
        signal.addEventListener('abort', settle, { once: true });
      });
    },
  };
}
