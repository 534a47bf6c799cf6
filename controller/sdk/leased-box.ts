import type { BoxView } from '#shared/api-schemas.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import type { ApiClient } from './api-client.ts';
import { CommandLost, LeaseLost, NotReady, SpoonboxError } from './errors.ts';
import type { ExecOptions, ExecResult } from './exec.ts';
import type { HeldLease, Released } from './held-lease.ts';
import { keepWatching } from './keep-watching.ts';
import { codeOf, retryAfterMs } from './passing.ts';

/** A box is waited for so long where nothing else is said. */
const readyWithinMs = 10 * 60_000;

/** What a box that is waited for does: `message` is one sentence, `progress` that of a pull. */
export type BoxProgress = Pick<BoxView, 'phase' | 'step' | 'message' | 'progress'>;

export interface ReadyOptions {
  /** called when any of it has changed */
  readonly onProgress?: (progress: BoxProgress) => void;
  /** default: 10 minutes */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface LeasedBoxDeps {
  readonly api: Pick<ApiClient, 'watch'>;
  readonly clock: Clock;
  readonly random: () => number;
  exec(user: string, command: readonly string[], options: ExecOptions): Promise<ExecResult>;
}

/**
 * A user's box that is held by a lease, which renews itself until it is given back: by `release`, or at the end of an
 * `await using`. While it is held the process is kept running.
 *
 * INVARIANTS
 * - Once the lease is lost or given back, whatever waits here rejects with the reason, and so does every later call.
 * - A command that runs is ended with the lease, but for one case: a lease that could not be renewed in time says nothing about
 *   the box, and the gateway holds it for the command.
 */
export class LeasedBox implements AsyncDisposable {
  readonly user: string;
  /** of the lease */
  readonly id: string;
  readonly holder: string;
  readonly #lease: HeldLease;
  readonly #hasCheckout: boolean;
  readonly #deps: LeasedBoxDeps;
  readonly #givenBack = new AbortController();
  /** what ends a command that runs */
  readonly #ended = new AbortController();

  constructor(
    deps: LeasedBoxDeps,
    lease: HeldLease,
    of: { user: string; id: string; holder: string; hasCheckout: boolean },
  ) {
    this.#deps = deps;
    this.#lease = lease;
    this.user = of.user;
    this.id = of.id;
    this.holder = of.holder;
    this.#hasCheckout = of.hasCheckout;
    const onLost = (): void => {
      const { reason } = this.lost;
      if (!(reason instanceof LeaseLost && reason.reason === 'expired')) this.#ended.abort(reason);
    };
    this.lost.addEventListener('abort', onLost, { once: true });
  }

  /** Aborted when the lease is not there any more, with a LeaseLost that says why. Giving it back is no loss. */
  get lost(): AbortSignal {
    return this.#lease.lost;
  }

  /**
   * Waits until the box can be used. Throws a NotReady that says what it waits for when that takes too long, a LeaseLost when
   * the lease is lost.
   */
  async ready(options: ReadyOptions = {}): Promise<BoxView> {
    const { onProgress, timeoutMs = readyWithinMs } = options;
    this.#mustHold();
    const first = this.#lease.taken;
    let said = first.waitsFor ?? first.box.message;
    let shown = '';
    const tooLate = new AbortController();
    const cancel = this.#deps.clock.after(timeoutMs, () => {
      const why = said === '' ? 'nothing was heard of it' : said;
      tooLate.abort(
        new NotReady(`the box of ${this.user} is not ready after ${Math.ceil(timeoutMs / 1_000)} s: ${why}`),
      );
    });
    const stop = this.#until(options.signal, tooLate.signal);
    try {
      for (let failures = 1; ; failures += 1) {
        try {
          for await (const event of keepWatching(this.#deps, this.user, stop)) {
            if (event.type !== 'box') continue;
            const { box } = event;
            // A reap is known here before the next renewal.
            if (!box.leases.some(({ id }) => id === this.id)) await this.#lease.check();
            stop.throwIfAborted();
            if (box.ready) return box;
            const { phase, step, message, progress } = box;
            said = message;
            const now = { phase, step, message, progress };
            if (JSON.stringify(now) === shown) continue;
            shown = JSON.stringify(now);
            onProgress?.(now);
          }
        } catch (error) {
          stop.throwIfAborted();
          // Redis was emptied: the lease is taken again, and the box is known again.
          if (codeOf(error) !== 'box-unknown') throw error;
        }
        await this.#lease.check();
        await sleep(this.#deps.clock, retryAfterMs(failures, this.#deps.random), stop);
      }
    } finally {
      cancel();
    }
  }

  /**
   * Runs a command, once the box is ready. Throws a LeaseLost when the lease was lost by then or meanwhile, a CommandLost where
   * the command has no exit code for another reason.
   */
  async exec(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    this.#mustHold();
    const ends = [this.#ended.signal, this.#givenBack.signal];
    if (options.signal) ends.push(options.signal);
    // A lease without a checkout is not named: a command in the home needs none that Redis knows.
    const lease = this.#hasCheckout ? { lease: this.id } : {};
    const run = (): Promise<ExecResult> =>
      this.#deps.exec(this.user, command, { ...lease, ...options, signal: AbortSignal.any(ends) });
    try {
      return await run().catch(async (error: unknown) => {
        if (codeOf(error) !== 'lease-unknown') throw error;
        // Redis lost it: it is taken again, and nothing was run.
        await this.#lease.check();
        this.#mustHold();
        return await run();
      });
    } catch (error) {
      if (!(error instanceof CommandLost)) throw error;
      // The gateway may have known of a reap before this lease did.
      await this.#lease.check();
      throw this.#ended.signal.aborted ? this.lost.reason : error;
    }
  }

  /** Gives the lease back, once. What runs here is ended first. */
  release(): Promise<Released> {
    this.#givenBack.abort(new SpoonboxError(`lease ${this.id} on the box of ${this.user} was given back`));
    return this.#lease.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  #mustHold(): void {
    this.#until().throwIfAborted();
  }

  #until(...others: (AbortSignal | undefined)[]): AbortSignal {
    const more = others.filter((signal) => signal !== undefined);
    return AbortSignal.any([this.lost, this.#givenBack.signal, ...more]);
  }
}
