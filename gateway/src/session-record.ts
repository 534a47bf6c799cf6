import type { BoxStore } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import type { Session } from '#shared/lease.ts';
import type { Logger } from '#shared/log.ts';
import { Ending } from './ending.ts';
import type { GatewayLimits } from './limits.ts';

/**
 * A session's record in Redis: whose it is, and where.
 *
 * INVARIANTS
 * - It is written one call after the other, so that an end is never overtaken by a write.
 * - A write that failed is tried again until it, or a newer one, succeeds, or the session has ended here.
 */
export class SessionRecord {
  readonly #deps: SessionRecordDeps;
  readonly #onTakenOver: () => void;
  #written: Promise<void> = Promise.resolve();
  #record: Session | null = null;
  /** a write waits for the one before; it takes the newest record when its turn comes */
  #waits = false;
  #isFailing = false;
  #cancelRetry: () => void = () => {};

  constructor(deps: SessionRecordDeps, onTakenOver: () => void) {
    this.#deps = deps;
    this.#onTakenOver = onTakenOver;
  }

  /** Makes the session this gateway's; answers what another one left. Throws an Ending where another one has it. */
  async claim(record: Session, takeOver: boolean): Promise<Session | null> {
    const claimed = await this.#deps.store.claimSession(record, takeOver, `terminal ${record.id} (${record.mode})`);
    if (!claimed.ok && claimed.refused === 'ending') {
      const message = `what an earlier gateway left of the terminal ${record.id} is just being ended; try again`;
      throw new Ending('try-later', { message });
    }
    if (!claimed.ok) {
      throw new Ending('elsewhere', {
        message: `the terminal ${record.id} is on another gateway, ${claimed.gateway}`,
        address: claimed.address,
      });
    }
    const { before } = claimed;
    // As the script has it: what outlives its gateway is not forgotten until it is resumed.
    if (before?.persist !== 'tmux') {
      this.#record = record;
      return before;
    }
    const { persist, containerId, execId, startedAt, tickets, record: recorded, directory, checkout } = before;
    const shell = { persist, containerId, execId, startedAt, tickets, record: recorded };
    this.#record = { ...record, ...shell, ...(directory && { directory }), ...(checkout && { checkout }) };
    return before;
  }

  put(record: Session): void {
    this.#record = record;
    this.again();
  }

  /** After Redis may have lost it. */
  again(): void {
    if (this.#waits || this.#record === null) return;
    this.#waits = true;
    this.#written = this.#written.then(() => this.#write());
  }

  /** Whether it is still this gateway's, as far as Redis answers. */
  async isOurs(): Promise<boolean> {
    this.again();
    await this.#written;
    return this.#record !== null;
  }

  /** False: it could not be ended, because Redis does not answer. */
  async end(told: string): Promise<boolean> {
    const record = this.#record;
    this.#record = null;
    this.#cancelRetry();
    await this.#written;
    if (record === null) return true;
    try {
      await this.#deps.store.endSession(record, told);
      return true;
    } catch (error) {
      const { user, id: session } = record;
      this.#deps.log.warn({ user, session, error }, 'session record not ended; trying again later');
      return false;
    }
  }

  /** Leaves it to whoever resumes the session. `detachedAt`: since when nobody is there (Redis TIME, ms); null = as it is. */
  async leave(detachedAt: number | null): Promise<void> {
    if (detachedAt !== null && this.#record) this.put({ ...this.#record, detachedAt });
    await this.#written;
    this.#record = null;
    this.#cancelRetry();
  }

  async #write(): Promise<void> {
    this.#waits = false;
    this.#cancelRetry();
    const record = this.#record;
    if (record === null) return;
    try {
      const isOurs = await this.#deps.store.putSession(record);
      this.#isFailing = false;
      if (isOurs) return;
      this.#record = null;
      this.#onTakenOver();
    } catch (error) {
      if (!this.#isFailing) this.#deps.log.warn({ user: record.user, error }, 'session not recorded; trying again');
      this.#isFailing = true;
      // It may be over by now, or a newer record on its way.
      if (this.#record === null || this.#waits) return;
      this.#cancelRetry = this.#deps.clock.after(this.#deps.limits.renewRetryMs, () => this.again());
    }
  }
}

export interface SessionRecordDeps {
  readonly store: BoxStore;
  readonly clock: Clock;
  readonly limits: Pick<GatewayLimits, 'renewRetryMs'>;
  readonly log: Logger;
}
