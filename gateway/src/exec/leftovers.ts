import { type Clock, sleep } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';

/** Between two rounds, growing from the first to the second; each is shortened by up to a half at random. */
const retryMs = { first: 250, most: 5_000 };
/** Longer than an engine is away that comes back at all; a box is reaped before, or restarted. */
const giveUpAfterMs = 30 * 60_000;
/** So often an engine that answers may refuse; it blocks the session for as long. */
const refusalsBeforeGivingUp = 5;
/** An engine that comes back is not asked for all of it at once. */
const atOnce = 4;

const never = new AbortController().signal;

interface Of {
  readonly containerId: string;
  readonly session: string;
}

interface Left {
  readonly of: Of;
  readonly tryOnce: () => Promise<void>;
  readonly giveUpAtMs: number;
  refusals: number;
}

/**
 * What a terminal left running in a box because the engine could not be reached when it was to be ended: tried again until
 * the engine answers. It would live on unseen until its box goes, and hold the processor for as long. What is given up here, or
 * left when this process ends, is the controller's to sweep.
 *
 * INVARIANTS
 * - While it is tried to end something of a session in a container, no new shell of that session is started in it: both carry
 *   the same mark, and would be ended together.
 * - One loop runs while something waits to be tried again, else none.
 */
export class Leftovers {
  readonly #clock: Clock;
  readonly #log: Logger;
  /** what is being ended, now or later */
  readonly #ending = new Set<string>();
  readonly #waiting = new Map<string, Left>();
  #isLooping = false;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Throws while an earlier shell of this session has not been ended there. */
  mustBeNone(of: Of): void {
    if (!this.#ending.has(keyOf(of))) return;
    const message = 'an earlier shell of this terminal could not be ended yet; it is tried again';
    throw new EngineError({ operation: 'exec-start', kind: 'unreachable', status: null, message });
  }

  /** Ends it now or later. Resolves after the first try; rejects where the engine answered and it cannot be ended. */
  async end(of: Of, tryOnce: () => Promise<void>): Promise<void> {
    const key = keyOf(of);
    this.#ending.add(key);
    try {
      await tryOnce();
      if (!this.#waiting.has(key)) this.#ending.delete(key);
    } catch (error) {
      if (isFinal(error)) {
        if (!this.#waiting.has(key)) this.#ending.delete(key);
        throw error;
      }
      const words =
        'the processes of a terminal could not be ended; trying again, and the sweep does if this process ends';
      this.#log.warn({ ...of, error }, words);
      const giveUpAtMs = this.#clock.monotonicMs() + giveUpAfterMs;
      this.#waiting.set(key, { of, tryOnce, giveUpAtMs, refusals: 0 });
      if (!this.#isLooping) void this.#loop();
    }
  }

  async #loop(): Promise<void> {
    this.#isLooping = true;
    for (let waitMs = retryMs.first; this.#waiting.size > 0; waitMs = Math.min(waitMs * 2, retryMs.most)) {
      await sleep(this.#clock, waitMs * (1 - Math.random() / 2), never);
      const round = [...this.#waiting.values()];
      const tryNext = async (): Promise<void> => {
        for (let left = round.shift(); left; left = round.shift()) await this.#tryAgain(left);
      };
      await Promise.all(Array.from({ length: atOnce }, tryNext));
    }
    this.#isLooping = false;
  }

  async #tryAgain(left: Left): Promise<void> {
    try {
      await left.tryOnce();
      this.#log.info(left.of, 'the processes of a terminal are ended');
    } catch (error) {
      if (error instanceof EngineError && error.fault.status !== null) left.refusals += 1;
      const isLate = this.#clock.monotonicMs() >= left.giveUpAtMs || left.refusals >= refusalsBeforeGivingUp;
      if (!isFinal(error) && !isLate) return;
      this.#log.error({ ...left.of, error }, 'the processes of a terminal may be left in the box');
    }
    this.#waiting.delete(keyOf(left.of));
    this.#ending.delete(keyOf(left.of));
  }
}

/** The engine answered, and what it says will not change. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof EngineError)) return false;
  const { kind, status } = error.fault;
  return kind === 'invalid' || (kind === 'failed' && status === null);
}

function keyOf({ containerId, session }: Of): string {
  return `${containerId} ${session}`;
}
