import type { BoxStore, TakenLease } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import type { LeaseId, UserName } from '#shared/identity.ts';
import type { LeaseEndReason } from '#shared/lease.ts';
import type { Logger } from '#shared/log.ts';
import { Ending, endedBy } from './ending.ts';
import type { GatewayLimits } from './limits.ts';

export interface LeaseOf {
  readonly user: UserName;
  readonly id: LeaseId;
  readonly holder: string;
  /** default: of a terminal */
  readonly kind?: 'terminal' | 'job';
  /** trace context of whoever waits for the box; none: nobody traces */
  readonly trace?: string | null;
}

/** Of the time between two renewals, what chance may take off: terminals that came at once would else renew at once for ever. */
const spread = 0.3;

type EndedFromOutside = Exclude<LeaseEndReason, 'expired'>;
const endings: Record<EndedFromOutside, 'reaped' | 'deleted' | 'idle' | 'released'> = {
  reaped: 'reaped',
  deleted: 'deleted',
  'attached-idle': 'idle',
  released: 'released',
};

/**
 * The terminal lease of an attached session: taken, renewed while somebody is attached, given back.
 *
 * INVARIANTS
 * - At most one renewal is under way; what is asked for meanwhile is one more after it.
 * - After `release` nothing is sent any more, except the release itself.
 * - While Redis does not answer, the terminal goes on and the renewal is tried again, without end: what the box is worth to
 *   its user does not depend on Redis. A lease that Redis lost, or that expired meanwhile, is taken again.
 * - Only an end from outside (reap, delete, idle, release) reaches `ended`, once.
 */
export class TerminalLease {
  readonly taken: TakenLease;
  readonly #deps: LeaseDeps;
  readonly #of: LeaseOf;
  readonly #events: LeaseEvents;
  #cancelTimer: () => void = () => {};
  #underWay: Promise<void> | null = null;
  #again = false;
  #over = false;
  #failing = false;
  #lastInputMs: number | null = null;
  #lastOutputMs: number | null = null;

  /** Rejects when Redis does not answer; throws an Ending where the lease is refused. */
  static async take(deps: LeaseDeps, of: LeaseOf, events: LeaseEvents): Promise<TerminalLease> {
    return new TerminalLease(deps, of, await takeOrThrow(deps, of, of.trace ?? null), events);
  }

  private constructor(deps: LeaseDeps, of: LeaseOf, taken: TakenLease, events: LeaseEvents) {
    this.#deps = deps;
    this.#of = of;
    this.taken = taken;
    this.#events = events;
    this.#schedule(deps.limits.renewEveryMs);
  }

  input(): void {
    const now = this.#deps.clock.monotonicMs();
    const quiet = this.#lastInputMs === null || now - this.#lastInputMs >= this.#deps.limits.quietMs;
    this.#lastInputMs = now;
    if (quiet) this.check().catch(() => {}); // `check` never rejects
  }

  output(): void {
    this.#lastOutputMs = this.#deps.clock.monotonicMs();
  }

  /** Renews now, and so learns whether the lease was ended. Never rejects. */
  async check(): Promise<void> {
    if (this.#over) return;
    if (this.#underWay) {
      this.#again = true;
      return await this.#underWay;
    }
    this.#underWay = this.#renewUntilCurrent();
    await this.#underWay;
  }

  async release(by: string): Promise<void> {
    this.#over = true;
    this.#cancelTimer();
    await this.#underWay;
    await this.#deps.store.release(this.#of.user, this.#of.id, by);
  }

  async #renewUntilCurrent(): Promise<void> {
    do {
      this.#again = false;
      await this.#renew();
    } while (this.#again && !this.#over && !this.#failing);
    this.#underWay = null;
    if (!this.#over) this.#schedule(this.#failing ? this.#deps.limits.renewRetryMs : this.#deps.limits.renewEveryMs);
  }

  async #renew(): Promise<void> {
    const { store, log, limits } = this.#deps;
    try {
      const renewal = await store.renew(this.#of.user, this.#of.id, limits.leaseTtlMs, {
        inputAgeMs: this.#ageOf(this.#lastInputMs),
        outputAgeMs: this.#ageOf(this.#lastOutputMs),
      });
      this.#failing = false;
      if (this.#over) return;
      if (renewal.ok) {
        this.#events.renewed(renewal);
        return;
      }
      if (renewal.refused === 'lease-ended' && renewal.reason !== 'expired') {
        this.#end(endedBy(endings[renewal.reason]));
        return;
      }
      log.warn({ user: this.#of.user, lease: this.#of.id, refused: renewal.refused }, 'lease lost; taking it again');
      await takeOrThrow(this.#deps, this.#of, null);
    } catch (error) {
      if (error instanceof Ending) {
        this.#end(error);
        return;
      }
      if (!this.#failing)
        log.warn({ user: this.#of.user, error }, 'lease not renewed; the terminal goes on, trying again');
      this.#failing = true;
    }
  }

  #end(ending: Ending): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimer();
    this.#events.ended(ending);
  }

  #schedule(delayMs: number): void {
    const { clock, random = Math.random } = this.#deps;
    this.#cancelTimer();
    this.#cancelTimer = clock.after(delayMs * (1 - spread * random()), () => {
      this.check().catch(() => {}); // `check` never rejects
    });
  }

  #ageOf(atMs: number | null): number | null {
    return atMs === null ? null : this.#deps.clock.monotonicMs() - atMs;
  }
}

export interface LeaseEvents {
  /** ended from outside, or refused when it was taken again */
  ended(ending: Ending): void;
  /** Redis TIME, and until when the box is kept as things are */
  renewed(at: { readonly now: number; readonly wantedUntil: number }): void;
}

export interface LeaseDeps {
  readonly store: BoxStore;
  readonly clock: Clock;
  /** from 0 to 1; default: `Math.random` */
  readonly random?: () => number;
  readonly limits: GatewayLimits;
  readonly log: Logger;
}

async function takeOrThrow(deps: LeaseDeps, of: LeaseOf, trace: string | null): Promise<TakenLease> {
  const reply = await deps.store.take({ kind: 'terminal', ...of, ttlMs: deps.limits.leaseTtlMs, class: null, trace });
  if (reply.ok) return reply.lease;
  switch (reply.refused) {
    case 'name-differs-by-case':
      throw new Ending('lease-refused', {
        errorCode: reply.refused,
        message: `user ${of.user} differs only by case from ${reply.detail}, who is known already`,
      });
    case 'too-many-leases':
      throw new Ending('too-many-sessions', { message: `${of.user} has ${reply.detail} leases already; end some` });
    default:
      throw new Ending('lease-refused', {
        errorCode: reply.refused,
        message: `no lease for ${of.user}: ${reply.refused} (${reply.detail})`,
      });
  }
}
