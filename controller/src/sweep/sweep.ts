import type { BoxStore } from '#shared/box-store.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { BoxRuntime } from '../runtime/port.ts';
import { eachAtOnce } from './each.ts';
import { endSession } from './end-session.ts';
import { Marks, type RunningBox } from './marks.ts';
import { goneMs, type StaleSession, staleSessions } from './stale.ts';

/** A round reads one hash for each user, empty for most: 10,000 cost Redis 0.05 s, and this process 0.2 s, of a minute. */
export const sweepLimits = {
  everyMs: 60_000,
  /** users whose records are read at once */
  readsAtOnce: 16,
  /** sessions that are ended at once, each by one exec of up to 15 s */
  endsAtOnce: 4,
} as const;

export interface SweepOptions {
  readonly store: Pick<BoxStore, 'mode' | 'users' | 'sessions' | 'read' | 'gateways' | 'sweepSession' | 'endSession'>;
  readonly runtime: Pick<BoxRuntime, 'sessionMarks' | 'endSession'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** of `Trust` */
  readonly trustedForMs: () => number;
  /** how long gateways keep a session that nobody is attached to */
  readonly graceMs: number;
}

/**
 * Ends the terminals that nobody owns, as `end-session.ts` says. What runs in a box without a record is found by its mark. One
 * term's; the next one begins anew.
 *
 * INVARIANT: nothing is ended while Redis is not trusted or the reconciler is paused, and a record only while it still is the gateway's that was judged.
 */
export class Sweep {
  readonly #options: SweepOptions;
  readonly #marks: Marks;
  /** gateways that sessions name and Redis does not know, and since when */
  #missing = new Map<string, number>();
  /** sessions that are looked at twice, and when they were found first */
  #doubtful = new Map<string, number>();

  constructor(options: SweepOptions) {
    this.#options = options;
    this.#marks = new Marks(options);
  }

  /** All boxes of ours that run, as the last list told. */
  listed(boxes: readonly RunningBox[]): void {
    this.#marks.listed(boxes);
  }

  /** Until aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, sweepLimits.everyMs, signal).catch(() => {});
      try {
        if (!signal.aborted) await this.round(signal);
      } catch (error) {
        if (!signal.aborted) log.warn({ error }, 'the sweep of sessions failed; trying again');
      }
    }
  }

  async round(signal: AbortSignal): Promise<void> {
    const { store } = this.#options;
    if (!this.#isTrusted(signal) || (await store.mode()).mode.mode === 'pause') {
      this.#missing.clear();
      this.#doubtful.clear();
      return;
    }
    const { now, gateways } = await store.gateways();
    const expiresAt = new Map(gateways.map((gateway) => [gateway.id, gateway.expiresAt]));
    const missing = new Map<string, number>();
    const goneForMs = (gateway: string): number => {
      const until = expiresAt.get(gateway);
      if (until !== undefined) return Math.max(0, now - until);
      // It may have left just now, or not be back yet: gone since it was first missed, and not 0, which would be alive.
      const nowMs = this.#options.clock.monotonicMs();
      missing.set(gateway, this.#missing.get(gateway) ?? nowMs);
      return Math.max(1, nowMs - (missing.get(gateway) ?? nowMs));
    };
    const stale: StaleSession[] = [];
    await eachAtOnce(await store.users(), sweepLimits.readsAtOnce, async (user) => {
      if (this.#isTrusted(signal)) stale.push(...(await this.#staleOf(user, goneForMs, signal)));
    });
    this.#missing = missing;
    const sure = this.#sure(stale);
    await eachAtOnce(sure, sweepLimits.endsAtOnce, async (one) => {
      // Judged again: with many to end it is a while ago.
      const now = await this.#staleOf(one.session.user, goneForMs, signal);
      const isStill = now.some(
        ({ session }) => session.id === one.session.id && session.gateway === one.session.gateway,
      );
      if (isStill && this.#isTrusted(signal)) await this.#end(one, signal);
    });
    await this.#marks.round(signal);
  }

  async #staleOf(user: UserName, goneForMs: (gateway: string) => number, signal: AbortSignal): Promise<StaleSession[]> {
    const { store, graceMs, trustedForMs, log } = this.#options;
    try {
      // The cheap look first: most users have no terminal.
      if ((await store.sessions(user)).length === 0) return [];
      const { sessions, leases, now } = await store.read(user);
      return staleSessions(sessions, { now, trustedForMs: trustedForMs(), graceMs, goneForMs, leases });
    } catch (error) {
      if (!signal.aborted) log.warn({ user, error }, 'the sessions of a user could not be read; trying again');
      return [];
    }
  }

  #sure(stale: readonly StaleSession[]): StaleSession[] {
    const nowMs = this.#options.clock.monotonicMs();
    const before = this.#doubtful;
    this.#doubtful = new Map();
    return stale.filter((one) => {
      if (!one.lookTwice) return true;
      const { user, id, gateway, startedAt } = one.session;
      const key = `${user} ${id} ${gateway} ${startedAt}`;
      const sinceMs = before.get(key) ?? nowMs;
      this.#doubtful.set(key, sinceMs);
      return nowMs - sinceMs >= goneMs;
    });
  }

  async #end({ session, why }: StaleSession, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const { user, id, gateway } = session;
    try {
      if (!(await endSession(this.#options, session, `terminal ${id}: ${why}`, signal))) return;
      log.info({ user, session: id, gateway, why }, 'a session that nobody owns is ended');
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ user, session: id, error }, 'a session that nobody owns could not be ended; trying again');
    }
  }

  #isTrusted(signal: AbortSignal): boolean {
    return this.#options.trustedForMs() > 0 && !signal.aborted;
  }
}
