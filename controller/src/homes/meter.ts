import type { Clock } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { ContainerView } from '../box/observed.ts';
import type { BoxRuntime } from '../runtime/port.ts';
import type { HomeLook, HomeStore } from '../store/home-store.ts';

/** A home is not looked at again sooner, whoever asks. */
export const askedEveryMs = 10 * 60_000;
/** Whether a look is due is Redis' to say; it is not asked that more often. */
const dueAskedEveryMs = 60_000;

/** A box that runs. */
export interface MeteredBox {
  readonly user: UserName;
  readonly container: ContainerView;
}

/**
 * Looks at homes from inside the boxes that have them, and keeps what they take up.
 *
 * INVARIANTS
 * - this process looks at one home at a time, and all processes together at one home once in a while: Redis says who
 * - nobody who asks waits: what is known is told with its age, and a look that is due follows
 */
export class HomeMeter {
  readonly #runtime: () => Pick<BoxRuntime, 'homeUse'>;
  readonly #store: Pick<HomeStore, 'beginLook' | 'put'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  /** homes that wait for their look, or have it */
  readonly #waiting = new Set<UserName>();
  /** what Redis was asked last, by this process's monotonic clock */
  readonly #asked = new Map<UserName, { readonly atMs: number; readonly everyMs: number }>();
  #turn: Promise<void> = Promise.resolve();

  constructor(options: {
    /** throws an EngineError while the engine was not reached yet */
    runtime: () => Pick<BoxRuntime, 'homeUse'>;
    store: Pick<HomeStore, 'beginLook' | 'put'>;
    clock: Clock;
    log: Logger;
    /** of the process: a look is for all who ask */
    signal: AbortSignal;
  }) {
    this.#runtime = options.runtime;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#signal = options.signal;
  }

  /**
   * Looks at each of these homes whose last look began `everyMs` ago or earlier, one after the other. Resolves when that is done, also
   * where a look failed: what failed is kept beside what was known, or logged where Redis does not answer.
   */
  async look(boxes: readonly MeteredBox[], everyMs: number): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    for (const [user, { atMs }] of this.#asked) if (nowMs - atMs >= dueAskedEveryMs) this.#asked.delete(user);
    for (const box of boxes.filter(({ container }) => container.state === 'running')) {
      // What is not due after ten minutes is not due after an hour; not the other way round.
      const wasAsked = (this.#asked.get(box.user)?.everyMs ?? Number.POSITIVE_INFINITY) <= everyMs;
      if (this.#waiting.has(box.user) || wasAsked) continue;
      this.#waiting.add(box.user);
      this.#asked.set(box.user, { atMs: nowMs, everyMs });
      this.#turn = this.#turn.then(() => this.#lookAt(box, everyMs));
    }
    await this.#turn;
  }

  async #lookAt({ user, container }: MeteredBox, everyMs: number): Promise<void> {
    try {
      if (this.#signal.aborted || container.spec === null) return;
      if (!(await this.#store.beginLook(user, everyMs))) return;
      const look = await this.#measure(container.id, container.spec.homeTarget);
      if (look !== null) await this.#store.put(user, container.spec.class, look);
    } catch (error) {
      if (!this.#signal.aborted) this.#log.warn({ error, user }, 'what a home takes up could not be told');
    } finally {
      this.#waiting.delete(user);
    }
  }

  /** null: its box ended meanwhile, or the engine does not answer, and nothing was learnt. */
  async #measure(id: string, target: string): Promise<HomeLook | null> {
    try {
      return await this.#runtime().homeUse(id, target, this.#signal);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const { kind, message } = error.fault;
      if (kind === 'not-found' || kind === 'conflict' || kind === 'unreachable') return null;
      return { problem: message };
    }
  }
}
