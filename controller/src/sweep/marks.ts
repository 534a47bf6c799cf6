import type { BoxStore } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import { Session } from '#shared/lease.ts';
import type { Logger } from '#shared/log.ts';
import type { BoxRuntime } from '../runtime/port.ts';
import { eachAtOnce } from './each.ts';
import { endSession } from './end-session.ts';
import { goneMs, isOwned, jobLease, trustNeededMs } from './stale.ts';

export interface RunningBox {
  readonly user: UserName;
  /** of its container */
  readonly id: string;
}

/**
 * A look is an exec, of some 30 ms of processor time. So few are done that they cost the engine's host a fiftieth of a core
 * however many boxes there are: a hundred are looked at every ten minutes, 10,000 every five or six hours.
 */
export const markLimits = {
  /** a box is looked at no more often, unless something was found in it */
  everyMs: 10 * 60_000,
  looksPerRound: 30,
  looksAtOnce: 2,
  /** leases of running boxes that are read at once: one script each, 0.5 s of Redis a minute for 10,000 */
  readsAtOnce: 16,
  /** of rounds a minute apart, each expired lease is seen by one at least */
  expiredWithinMs: 2 * 60_000,
} as const;

interface MarksOptions {
  readonly store: Pick<BoxStore, 'mode' | 'read' | 'sweepSession' | 'endSession'>;
  readonly runtime: Pick<BoxRuntime, 'sessionMarks' | 'endSession'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trustedForMs: () => number;
}

interface Watched {
  readonly box: RunningBox;
  dueMs: number;
  /** marks that nobody answers for, and when they were first seen */
  unowned: Map<string, number>;
}

/**
 * Sessions that run in boxes and are recorded nowhere: Redis has lost the record of a gateway that is gone, or their end
 * failed. Each is ended when it was seen twice.
 */
export class Marks {
  readonly #options: MarksOptions;
  /** by container */
  #watched = new Map<string, Watched>();

  constructor(options: MarksOptions) {
    this.#options = options;
  }

  /** All that run; others are forgotten. */
  listed(boxes: readonly RunningBox[]): void {
    const before = this.#watched;
    this.#watched = new Map(
      boxes.map((box) => [box.id, before.get(box.id) ?? { box, dueMs: 0, unowned: new Map<string, number>() }]),
    );
  }

  async round(signal: AbortSignal): Promise<void> {
    if (!this.#isTrusted(signal)) {
      for (const { unowned } of this.#watched.values()) unowned.clear();
      return;
    }
    const nowMs = this.#options.clock.monotonicMs();
    const later = [...this.#watched.values()].filter(({ dueMs }) => dueMs > nowMs);
    await eachAtOnce(later, markLimits.readsAtOnce, async (watched) => {
      if (this.#isTrusted(signal) && (await this.#hasLostJob(watched.box.user, signal))) watched.dueMs = 0;
    });
    const due = [...this.#watched.values()]
      .filter(({ dueMs }) => dueMs <= nowMs)
      // Where something was found first, else who has waited longest.
      .sort((one, other) => other.unowned.size - one.unowned.size || one.dueMs - other.dueMs)
      .slice(0, markLimits.looksPerRound);
    await eachAtOnce(due, markLimits.looksAtOnce, async (watched) => {
      if (!this.#isTrusted(signal)) return;
      watched.dueMs = nowMs + markLimits.everyMs;
      try {
        await this.#look(watched, signal);
      } catch (error) {
        if (signal.aborted) return;
        const kind = error instanceof EngineError ? error.fault.kind : null;
        // It has ended since the list, or is paused.
        const level = kind === 'not-found' || kind === 'conflict' ? 'debug' : 'warn';
        this.#options.log[level](
          { ...watched.box, error },
          'a box could not be looked into for sessions; trying again later',
        );
      }
    });
  }

  /**
   * A job has no record as a terminal has: nobody comes back to it, and it would cost each command two more writes. That its lease
   * has expired, and was not given back, says that its gateway is gone: its box is looked into at once, and not in its turn.
   */
  async #hasLostJob(user: UserName, signal: AbortSignal): Promise<boolean> {
    const { store, log } = this.#options;
    try {
      const { ended, now } = await store.read(user);
      return ended.some(({ id, endReason, endedAt }) => {
        const isRecent = endedAt !== undefined && now - endedAt < markLimits.expiredWithinMs;
        return id.startsWith(jobLease) && endReason === 'expired' && isRecent;
      });
    } catch (error) {
      if (!signal.aborted) log.warn({ user, error }, 'the leases of a user could not be read; trying again');
      return false;
    }
  }

  async #look(watched: Watched, signal: AbortSignal): Promise<void> {
    const { store, runtime, clock, log } = this.#options;
    const { user, id: containerId } = watched.box;
    const marks = await runtime.sessionMarks(containerId, signal);
    const record = marks.length > 0 ? await store.read(user) : null;
    const unowned = record === null ? [] : marks.filter((mark) => !isOwned(mark, record));
    const seenAtMs = clock.monotonicMs();
    const before = watched.unowned;
    watched.unowned = new Map(unowned.map((mark) => [mark, before.get(mark) ?? seenAtMs]));
    if (unowned.length > 0) watched.dueMs = 0;
    for (const [id, sinceMs] of watched.unowned) {
      if (seenAtMs - sinceMs < goneMs || !this.#isTrusted(signal)) continue;
      watched.unowned.delete(id);
      const session = Session.parse({ id, user, gateway: '', containerId, execId: '', mode: 'rw', startedAt: 0 });
      // No event: nobody was told that it began, or its end was told before.
      const isEnded = await endSession(this.#options, session, '', signal);
      if (isEnded) log.info({ user, session: id }, 'a session of which nobody knows is ended');
    }
  }

  #isTrusted(signal: AbortSignal): boolean {
    return this.#options.trustedForMs() >= trustNeededMs && !signal.aborted;
  }
}
