import type { LeaseBody, LeaseReply } from '#shared/api-schemas.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import { LeaseEndReason } from '#shared/lease.ts';
import type { ApiClient } from './api-client.ts';
import { ApiRefusal, LeaseLost, type LeaseLostReason } from './errors.ts';
import { codeOf, isPassing, retryAfterMs, within } from './passing.ts';

/** Renewed after a third of its ttl, less up to a fifth of that at random: many holders do not come all at once. */
const renewalsPerTtl = 3;
const jitter = 0.2;
/** One request may take this long; also the last one before the lease's own end has a moment. */
const answerWithinMs = 10_000;
const shortestAnswerMs = 1_000;
/** For so long it is tried to give a lease back; after that its own end must do. */
const releaseWithinMs = 10_000;

/** `released`; `ended`: it was not there any more; `expires`: the server did not answer, so it ends by itself, at its ttl. */
export type Released = 'released' | 'ended' | 'expires';

export interface LeaseOf {
  readonly user: string;
  readonly id: string;
  readonly body: LeaseBody;
}

export interface LeaseDeps {
  readonly api: Pick<ApiClient, 'takeLease' | 'renewLease' | 'releaseLease'>;
  readonly clock: Clock;
  readonly random: () => number;
}

/**
 * A lease that renews itself from when it is taken until it is given back or lost.
 *
 * INVARIANTS
 * - At most one request is under way. None is cut off: what a cut-off take does at the server could come after the release.
 * - While the server does not answer, the renewal is tried again until the lease's own end, as this clock has it; a lease
 *   that Redis lost is taken again.
 * - `lost` is aborted at most once, with a LeaseLost, and never by `release`.
 * - After `release` or the loss no timer is left.
 */
export class HeldLease {
  readonly taken: LeaseReply;
  readonly #deps: LeaseDeps;
  readonly #of: LeaseOf;
  readonly #lost = new AbortController();
  #endsAtMs: number;
  #failures = 0;
  #cancelTimer: () => void = () => {};
  #underWay: Promise<void> | null = null;
  #released: Promise<Released> | null = null;

  /** Rejects where it is refused, or nobody answers; a lease that was taken all the same ends by itself. */
  static async take(deps: LeaseDeps, of: LeaseOf, signal: AbortSignal): Promise<HeldLease> {
    signal.throwIfAborted();
    const sentAtMs = deps.clock.monotonicMs();
    const taken = await take(deps, of, answerWithinMs);
    const lease = new HeldLease(deps, of, taken, sentAtMs);
    if (!signal.aborted) return lease;
    await lease.release();
    throw signal.reason;
  }

  private constructor(deps: LeaseDeps, of: LeaseOf, taken: LeaseReply, sentAtMs: number) {
    this.#deps = deps;
    this.#of = of;
    this.taken = taken;
    this.#endsAtMs = sentAtMs + taken.lease.expiresAt - taken.now;
    this.#renewLater();
  }

  /** Aborted with a LeaseLost when the lease is not there any more. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Renews now, and so learns whether the lease is lost. Never rejects. */
  async check(): Promise<void> {
    await this.#underWay; // it may have been answered before what the caller wants to know of
    if (this.#isOver) return;
    this.#cancelTimer();
    this.#underWay ??= this.#renew();
    await this.#underWay;
  }

  /** Gives it back, once; rejects where that is refused. */
  release(): Promise<Released> {
    this.#released ??= this.#giveBack();
    return this.#released;
  }

  get #isOver(): boolean {
    return this.#released !== null || this.lost.aborted;
  }

  async #renew(): Promise<void> {
    const { api, clock } = this.#deps;
    const { user, id } = this.#of;
    const sentAtMs = clock.monotonicMs();
    const withinMs = Math.min(answerWithinMs, Math.max(shortestAnswerMs, this.#endsAtMs - sentAtMs));
    try {
      const { expiresAt, now } = await within(clock, withinMs, (signal) => api.renewLease(user, id, signal)).catch(
        async (error: unknown) => {
          if (codeOf(error) !== 'lease-unknown') throw error;
          const again = await take(this.#deps, this.#of, withinMs);
          return { expiresAt: again.lease.expiresAt, now: again.now };
        },
      );
      this.#endsAtMs = sentAtMs + expiresAt - now;
      this.#failures = 0;
      this.#underWay = null;
      this.#renewLater();
    } catch (error) {
      this.#underWay = null;
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (error instanceof ApiRefusal && !isPassing(error)) {
      const ended = codeOf(error) === 'lease-ended' ? LeaseEndReason.safeParse(error.problem.reason) : null;
      this.#lose(ended?.data ?? 'refused', error);
      return;
    }
    const leftMs = this.#endsAtMs - this.#deps.clock.monotonicMs();
    if (leftMs <= 0) {
      this.#lose('expired', error);
      return;
    }
    this.#failures += 1;
    this.#checkAfter(Math.min(leftMs, retryAfterMs(this.#failures, this.#deps.random)));
  }

  #lose(reason: LeaseLostReason, cause: unknown): void {
    if (this.#isOver) return;
    const { user, id } = this.#of;
    const why = reason === 'refused' && cause instanceof Error ? cause.message : lostTexts[reason];
    this.#lost.abort(new LeaseLost(`lease ${id} on the box of ${user} is lost: ${why}`, reason, { cause }));
  }

  #renewLater(): void {
    this.#checkAfter((this.#of.body.ttlMs / renewalsPerTtl) * (1 - jitter * this.#deps.random()));
  }

  #checkAfter(delayMs: number): void {
    if (this.#isOver) return;
    this.#cancelTimer = this.#deps.clock.after(delayMs, () => {
      this.check().catch(() => {}); // `check` never rejects
    });
  }

  async #giveBack(): Promise<Released> {
    const { api, clock, random } = this.#deps;
    const { user, id } = this.#of;
    this.#cancelTimer();
    await this.#underWay;
    const giveUpAtMs = clock.monotonicMs() + releaseWithinMs;
    for (let failures = 1; ; failures += 1) {
      const leftMs = giveUpAtMs - clock.monotonicMs();
      if (leftMs <= 0) return 'expires';
      try {
        const released = await within(clock, leftMs, (signal) => api.releaseLease(user, id, signal));
        return released ? 'released' : 'ended';
      } catch (error) {
        if (codeOf(error) === 'lease-unknown' || codeOf(error) === 'lease-ended') return 'ended';
        if (!isPassing(error)) throw error;
      }
      await sleep(clock, Math.min(leftMs, retryAfterMs(failures, random)), neverAborted);
    }
  }
}

const neverAborted = new AbortController().signal;

const lostTexts: Readonly<Record<LeaseLostReason, string>> = {
  released: 'somebody else gave it back',
  expired: 'it could not be renewed in time',
  reaped: 'an operator reaped the box; only its home survives',
  deleted: 'an operator deleted the box; only its home survives',
  'attached-idle': 'its holder was idle for too long',
  refused: 'it cannot be renewed',
};

function take(deps: LeaseDeps, { user, id, body }: LeaseOf, withinMs: number): Promise<LeaseReply> {
  return within(deps.clock, withinMs, (signal) => deps.api.takeLease(user, id, body, 0, signal));
}
