import { randomBytes } from 'node:crypto';
import { sleep } from '#shared/clock.ts';
import type { TakenLease } from '#shared/box-store.ts';
import { LeaseId, type UserName } from '#shared/identity.ts';
import { Ending, storeIsSilent } from './ending.ts';
import { type LeaseDeps, type LeaseEvents, TerminalLease } from './lease.ts';

/**
 * What a session holds its box with: a terminal lease exactly while somebody is attached.
 *
 * INVARIANTS
 * - One take or release at a time; the latest wish wins.
 * - A new lease id for each attachment: what ended one of them must not end the next.
 */
export class Hold {
  readonly #deps: LeaseDeps;
  readonly #of: {
    readonly user: UserName;
    readonly session: string;
    readonly holder: string;
    readonly gateway: string;
  };
  readonly #events: HoldEvents;
  readonly #closed = new AbortController();
  #lease: TerminalLease | null = null;
  #isWanted = true;
  #hasBegun = false;
  #underWay: Promise<void> | null = null;
  /** Redis TIME by the last lease's estimate, and when that was on this process's clock */
  #time = { redisMs: 0, atMs: 0 };

  constructor(
    deps: LeaseDeps,
    of: { user: UserName; session: string; holder: string; gateway: string },
    events: HoldEvents,
  ) {
    this.#deps = deps;
    this.#of = of;
    this.#events = events;
  }

  /** The first lease, which carries the trace of who waits for the box. Throws an Ending where it is refused, or Redis does not answer. */
  async first(trace: string | null): Promise<TakenLease> {
    try {
      const lease = await this.#take(trace);
      this.#hasBegun = true;
      this.#settle();
      return lease.taken;
    } catch (error) {
      if (error instanceof Ending) throw error;
      this.#deps.log.warn({ user: this.#of.user, error }, 'no lease for a terminal: Redis does not answer');
      throw storeIsSilent();
    }
  }

  attach(): void {
    this.#isWanted = true;
    this.#settle();
  }

  detach(): void {
    this.#isWanted = false;
    this.#settle();
  }

  /** Whether a lease is held now, and has not been ended from outside. */
  async check(): Promise<void> {
    await this.#lease?.check();
  }

  input(): void {
    this.#lease?.input();
  }

  output(): void {
    this.#lease?.output();
  }

  /** For records that people read. */
  redisNow(): number {
    return Math.round(this.#time.redisMs + this.#deps.clock.monotonicMs() - this.#time.atMs);
  }

  /** Gives back what is held. Never rejects. */
  async close(): Promise<void> {
    this.#isWanted = false;
    this.#closed.abort();
    await this.#underWay;
    await this.#release();
  }

  #settle(): void {
    if (!this.#hasBegun) return;
    this.#underWay ??= this.#settleNow();
  }

  async #settleNow(): Promise<void> {
    await null; // `#underWay` is set by then
    while (!this.#closed.signal.aborted && this.#isWanted !== (this.#lease !== null)) {
      if (!this.#isWanted) await this.#release();
      else {
        try {
          await this.#take(null);
        } catch (error) {
          if (error instanceof Ending) {
            this.#isWanted = false;
            this.#events.refused(error);
            break;
          }
          this.#deps.log.warn({ user: this.#of.user, error }, 'lease not taken; the terminal goes on, trying again');
          await sleep(this.#deps.clock, this.#deps.limits.renewRetryMs, this.#closed.signal).catch(() => {});
        }
      }
    }
    // In the same step as the last look: what is wished for after it begins anew.
    this.#underWay = null;
  }

  async #take(trace: string | null): Promise<TerminalLease> {
    const { user, session, holder } = this.#of;
    const id = LeaseId.parse(`terminal:${session}:${randomBytes(6).toString('hex')}`);
    const lease = await TerminalLease.take(this.#deps, { user, id, holder, trace }, this.#events);
    this.#lease = lease;
    this.#time = { redisMs: lease.taken.now, atMs: this.#deps.clock.monotonicMs() };
    return lease;
  }

  async #release(): Promise<void> {
    const lease = this.#lease;
    this.#lease = null;
    await lease?.release(`gateway ${this.#of.gateway}`).catch((error: unknown) => {
      this.#deps.log.warn({ user: this.#of.user, error }, 'lease not given back; it expires by itself');
    });
  }
}

export interface HoldEvents extends LeaseEvents {
  /** nobody was attached for a while, and the next lease is refused; none is tried for until somebody comes again */
  refused(ending: Ending): void;
}
