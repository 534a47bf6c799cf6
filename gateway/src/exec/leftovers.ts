import { type Clock, sleep } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';

/** Between two tries, growing from the first to the second. */
const retryMs = { first: 250, most: 5_000 };
/** Longer than an engine is away that comes back at all; a box is reaped before, or restarted. */
const giveUpAfterMs = 30 * 60_000;

const never = new AbortController().signal;

/**
 * What a terminal left running in a box because the engine could not be reached when it was to be ended: tried again until
 * the engine answers. It would live on unseen until its box goes, and hold the processor for as long.
 *
 * INVARIANT: while something of a session is left in a container, no new shell of that session is started in it: both carry
 * the same mark, and would be ended together.
 */
export class Leftovers {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #left = new Set<string>();

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Throws while an earlier shell of this session has not been ended there. */
  mustBeNone(of: { containerId: string; session: string }): void {
    if (!this.#left.has(keyOf(of))) return;
    const message = 'an earlier shell of this terminal could not be ended yet; it is tried again';
    throw new EngineError({ operation: 'exec-start', kind: 'unreachable', status: null, message });
  }

  /** Ends it now or later. Resolves after the first try; rejects where the engine answered and it cannot be ended. */
  async end(of: { containerId: string; session: string }, tryOnce: () => Promise<void>): Promise<void> {
    this.#left.add(keyOf(of));
    try {
      await tryOnce();
      this.#left.delete(keyOf(of));
    } catch (error) {
      if (isFinal(error)) {
        this.#left.delete(keyOf(of));
        throw error;
      }
      this.#log.warn({ ...of, error }, 'the processes of a terminal could not be ended; trying again');
      void this.#insist(of, tryOnce);
    }
  }

  async #insist(of: { containerId: string; session: string }, tryOnce: () => Promise<void>): Promise<void> {
    const giveUpAt = this.#clock.monotonicMs() + giveUpAfterMs;
    for (let waitMs = retryMs.first; ; waitMs = Math.min(waitMs * 2, retryMs.most)) {
      await sleep(this.#clock, waitMs, never);
      try {
        await tryOnce();
        this.#log.info(of, 'the processes of a terminal are ended');
        break;
      } catch (error) {
        if (!isFinal(error) && this.#clock.monotonicMs() < giveUpAt) continue;
        this.#log.error({ ...of, error }, 'the processes of a terminal may be left in the box');
        break;
      }
    }
    this.#left.delete(keyOf(of));
  }
}

/** The engine answered, and what it says will not change. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof EngineError)) return false;
  const { kind, status } = error.fault;
  return kind === 'invalid' || (kind === 'failed' && status === null);
}

function keyOf({ containerId, session }: { containerId: string; session: string }): string {
  return `${containerId} ${session}`;
}
