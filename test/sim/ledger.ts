import type { Reply } from './lua-state.ts';

interface HeldLease {
  readonly user: string;
  readonly kind: string;
  /** virtual time, ms */
  readonly takenAt: number;
  /** when it was taken or renewed last */
  heardAt: number;
  expiresAt: number;
}

/** A delete is a reap once somebody came again. */
const wishesBehind = new Map([
  ['reap', ['reap', 'delete']],
  ['deleted', ['delete']],
  ['recreate', ['recreate']],
  ['adopt', ['adopt']],
]);

/** The longest that anybody but an operator asks for at once in this world. */
const longestAskedMs = 60_000;

/** A lease that a backward jump of the clock made longer than its holder asked for: the holder needs no more than that. */
function needed(kind: string, remainingMs: number): number {
  return kind === 'pin' ? remainingMs : Math.min(remainingMs, longestAskedMs);
}

/**
 * What is true of everybody's need of a box, kept outside of Redis in virtual time: a lost or jumped Redis changes nothing
 * here. It learns from what the scripts answered, and judges every idle reap that Redis allows.
 */
export class Ledger {
  private readonly leases = new Map<string, HeldLease>();
  private readonly activity = new Map<string, number>();
  /** user/wish */
  private readonly wishes = new Set<string>();
  private readonly policy: { detachedMs: number; attachedMs: number; giveWayMs: number };

  constructor(policy: { detachedMs: number; attachedMs: number; giveWayMs: number }) {
    this.policy = policy;
  }

  /** A script ran at virtual time `now`; its own arguments begin at 3. */
  learn(script: string, args: readonly string[], reply: Reply, now: number): void {
    const answer: unknown = typeof reply === 'string' ? JSON.parse(reply) : null;
    if (typeof answer !== 'object' || answer === null) return;
    // Its holder has let go, whether Redis still knows the lease or not.
    if ('refused' in answer && script !== 'release-lease') return;
    const [user = '', , , first = '', second = '', third = '', fourth = ''] = args;
    const remaining = 'expiresAt' in answer && 'now' in answer ? Number(answer.expiresAt) - Number(answer.now) : 0;
    const id = `${user}/${first}`;
    switch (script) {
      case 'take-lease': {
        const known = this.leases.get(id);
        const takenAt = known !== undefined && known.expiresAt > now ? known.takenAt : now;
        this.settle(now);
        this.leases.set(id, { user, kind: second, takenAt, heardAt: now, expiresAt: now + needed(second, remaining) });
        this.active(user, now);
        return;
      }
      case 'renew-lease': {
        const lease = this.leases.get(id);
        if (lease !== undefined) {
          lease.heardAt = now;
          lease.expiresAt = now + needed(lease.kind, remaining);
        }
        if (Number(third) >= 0) this.active(user, now - Number(third));
        if (Number(fourth) >= 0) this.active(user, now - Number(fourth));
        return;
      }
      case 'release-lease':
        if (this.leases.delete(id)) this.active(user, now);
        return;
      case 'wish':
        this.wishes.add(`${user}/${first}`);
        if (first === 'reap' || first === 'delete') this.endAll(user);
        return;
      default:
    }
  }

  /** Redis is not what it was: a pin holds as long as it says now; one that it lost is renewed by nobody, and holds nothing. */
  keepPins(now: number, leftMs: (user: string, id: string) => number): void {
    for (const [key, lease] of this.leases) {
      if (lease.kind !== 'pin') continue;
      const left = leftMs(lease.user, key.slice(lease.user.length + 1));
      if (left <= 0) this.leases.delete(key);
      else lease.expiresAt = Math.min(lease.expiresAt, now + left);
    }
  }

  /** Redis' clock jumped ahead: a pin ends so much sooner. */
  agePins(byMs: number): void {
    for (const lease of this.leases.values()) if (lease.kind === 'pin') lease.expiresAt -= byMs;
  }

  /** What of this user's need was heard before then may be known to nobody. */
  forgetBefore(user: string, at: number): void {
    for (const [key, lease] of this.leases) if (lease.user === user && lease.heardAt < at) this.leases.delete(key);
    if ((this.activity.get(user) ?? at) < at) this.activity.delete(user);
  }

  /** Whether an operator ever asked for what a drain gives as its cause; others need no operator. */
  wasAsked(user: string, cause: string): boolean {
    const wishes = wishesBehind.get(cause);
    return wishes === undefined || wishes.some((wish) => this.wishes.has(`${user}/${wish}`));
  }

  /** Why the user's box was still needed at virtual time `now`; null = nobody needed it. */
  need(user: string, now: number): string | null {
    this.settle(now);
    let attachedSince: number | null = null;
    for (const lease of this.leases.values()) {
      if (lease.user !== user) continue;
      if (lease.kind !== 'terminal') return `a ${lease.kind} lease is live for ${lease.expiresAt - now} ms more`;
      attachedSince = Math.max(attachedSince ?? 0, lease.takenAt);
    }
    const last = Math.max(
      this.activity.get(user) ?? Number.NEGATIVE_INFINITY,
      attachedSince ?? Number.NEGATIVE_INFINITY,
    );
    const idleMs = attachedSince === null ? this.policy.detachedMs : this.policy.attachedMs;
    const leftMs = last + idleMs - now;
    return leftMs > 0 ? `the last activity was ${now - last} ms ago, of ${idleMs} ms` : null;
  }

  /** Who holds the user's box at virtual time `now` by a lease; null = nobody. */
  holder(user: string, now: number): string | null {
    this.settle(now);
    const held = [...this.leases.values()].find((lease) => lease.user === user);
    return held === undefined ? null : `a ${held.kind} lease is live for ${held.expiresAt - now} ms more`;
  }

  /** Why the user's box could not give way to others' at virtual time `now`; null = it could. */
  claim(user: string, now: number): string | null {
    this.settle(now);
    for (const lease of this.leases.values()) if (lease.user === user) return `a ${lease.kind} lease is live`;
    const idleMs = now - (this.activity.get(user) ?? Number.NEGATIVE_INFINITY);
    return idleMs < this.policy.giveWayMs ? `the last activity was ${idleMs} ms ago` : null;
  }

  /** An idle reap that was rightly committed ends the terminals that were idle too long. */
  reaped(user: string): void {
    this.endAll(user);
  }

  private endAll(user: string): void {
    for (const [id, lease] of this.leases) if (lease.user === user) this.leases.delete(id);
  }

  /** An expiry is activity at its moment. */
  private settle(now: number): void {
    for (const [id, lease] of this.leases) {
      if (lease.expiresAt > now) continue;
      this.leases.delete(id);
      this.active(lease.user, lease.expiresAt);
    }
  }

  private active(user: string, at: number): void {
    this.activity.set(user, Math.max(at, this.activity.get(user) ?? Number.NEGATIVE_INFINITY));
  }
}
