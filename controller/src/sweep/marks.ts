import type { BoxStore } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { BoxRuntime } from '../runtime/port.ts';
import { eachAtOnce } from './each.ts';
import { goneMs, isOwned, trustNeededMs } from './stale.ts';

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
} as const;

interface MarksOptions {
  readonly store: Pick<BoxStore, 'read'>;
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

  /** What runs there of this session could not be ended: it is tried again. */
  failed(containerId: string, session: string): void {
    const watched = this.#watched.get(containerId);
    watched?.unowned.set(session, this.#options.clock.monotonicMs());
    if (watched) watched.dueMs = 0;
  }

  async round(signal: AbortSignal): Promise<void> {
    if (!this.#isTrusted(signal)) {
      for (const { unowned } of this.#watched.values()) unowned.clear();
      return;
    }
    const nowMs = this.#options.clock.monotonicMs();
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

  async #look(watched: Watched, signal: AbortSignal): Promise<void> {
    const { store, runtime, clock, log } = this.#options;
    const { user, id } = watched.box;
    const marks = await runtime.sessionMarks(id, signal);
    const record = marks.length > 0 ? await store.read(user) : null;
    const unowned = record === null ? [] : marks.filter((mark) => !isOwned(mark, record));
    const seenAtMs = clock.monotonicMs();
    const before = watched.unowned;
    watched.unowned = new Map(unowned.map((mark) => [mark, before.get(mark) ?? seenAtMs]));
    if (unowned.length > 0) watched.dueMs = 0;
    for (const [session, sinceMs] of watched.unowned) {
      if (seenAtMs - sinceMs < goneMs || !this.#isTrusted(signal)) continue;
      await runtime.endSession(id, session, signal);
      watched.unowned.delete(session);
      log.info({ user, session }, 'a session of which nobody knows is ended');
    }
  }

  #isTrusted(signal: AbortSignal): boolean {
    return this.#options.trustedForMs() >= trustNeededMs && !signal.aborted;
  }
}
