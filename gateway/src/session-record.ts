import type { BoxStore } from '#shared/box-store.ts';
import type { Session } from '#shared/lease.ts';
import type { Logger } from '#shared/log.ts';
import { Ending } from './ending.ts';

/**
 * A session's record in Redis: whose it is, and where.
 *
 * INVARIANT: it is written one call after the other, so that an end is never overtaken by a write.
 */
export class SessionRecord {
  readonly #deps: { readonly store: BoxStore; readonly log: Logger };
  readonly #onTakenOver: () => void;
  #written: Promise<void> = Promise.resolve();
  #record: Session | null = null;
  /** a write waits for the one before; it takes the newest record when its turn comes */
  #waits = false;

  constructor(deps: { store: BoxStore; log: Logger }, onTakenOver: () => void) {
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
    const { persist, containerId, execId, startedAt, tickets } = before ?? record;
    this.#record =
      before?.persist === 'tmux' ? { ...record, persist, containerId, execId, startedAt, tickets } : record;
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
  }

  async #write(): Promise<void> {
    this.#waits = false;
    const record = this.#record;
    if (record === null) return;
    try {
      if (await this.#deps.store.putSession(record)) return;
      this.#record = null;
      this.#onTakenOver();
    } catch (error) {
      this.#deps.log.warn({ user: record.user, error }, 'session not recorded; it is again when Redis is back');
    }
  }
}
