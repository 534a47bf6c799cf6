import type { BoxStore } from '#shared/box-store.ts';
import type { UserName } from '#shared/identity.ts';
import type { Session } from '#shared/lease.ts';
import type { Logger } from '#shared/log.ts';
import type { TerminalClaims } from '#shared/terminal-token.ts';
import { Ending } from './ending.ts';
import type { GatewayLimits } from './limits.ts';

/** A session's place on this gateway. */
export interface SessionPlace {
  /** aborted with an Ending when the session is to end */
  readonly signal: AbortSignal;
  end(ending: Ending): void;
  /** Writes the session's record to Redis, now and after every reconnect. */
  record(session: Session): void;
  /** Frees the place, and ends the record. */
  leave(told: string): Promise<void>;
}

/**
 * All terminals of this gateway: their limits, their records in Redis.
 *
 * INVARIANTS
 * - A user's session id is here at most once.
 * - The records of one session are written one after the other, so that an end is never overtaken by a write.
 */
export class Sessions {
  readonly #deps: { readonly store: BoxStore; readonly limits: GatewayLimits; readonly log: Logger };
  readonly #open = new Map<string, Place>();
  /** records that could not be ended because Redis was down */
  readonly #unended = new Map<string, { user: UserName; id: string }>();
  #closed: Ending | null = null;
  #whenEmpty: (() => void)[] = [];
  opened = 0;

  constructor(deps: { store: BoxStore; limits: GatewayLimits; log: Logger }) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Throws an Ending where there is no place. */
  enter(claims: TerminalClaims): SessionPlace {
    if (this.#closed) throw this.#closed;
    const { limits } = this.#deps;
    const key = `${claims.user}/${claims.session}`;
    if (this.#open.has(key)) throw new Ending('session-in-use');
    if (this.#open.size >= limits.sessionsPerGateway) {
      throw new Ending('too-many-sessions', { message: `this gateway has ${limits.sessionsPerGateway} terminals` });
    }
    const ofUser = [...this.#open.values()].filter(({ user }) => user === claims.user).length;
    if (ofUser >= limits.sessionsPerUser) {
      throw new Ending('too-many-sessions', { message: `${claims.user} has ${ofUser} terminals here; end some` });
    }
    const place = new Place(this.#deps, claims.user, claims.session, (left) => this.#left(key, left));
    this.#open.set(key, place);
    this.#unended.delete(key);
    this.opened += 1;
    return place;
  }

  /** After Redis may have lost them. */
  recordAgain(): void {
    for (const place of this.#open.values()) place.recordAgain();
  }

  /** Tries again to end the records that are left over. */
  async endLeftRecords(): Promise<void> {
    for (const [key, { user, id }] of this.#unended) {
      await this.#deps.store.endSession(user, id, '');
      this.#unended.delete(key);
    }
  }

  /** Ends all, and lets nobody in any more. */
  close(ending: Ending): void {
    this.#closed = ending;
    for (const place of this.#open.values()) place.end(ending);
  }

  empty(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  #left(key: string, left: { user: UserName; id: string; ended: boolean }): void {
    this.#open.delete(key);
    if (!left.ended && this.#unended.size < this.#deps.limits.unendedRecords) this.#unended.set(key, left);
    if (this.#open.size > 0) return;
    for (const resolve of this.#whenEmpty) resolve();
    this.#whenEmpty = [];
  }
}

class Place implements SessionPlace {
  readonly user: UserName;
  readonly #id: string;
  readonly #deps: { readonly store: BoxStore; readonly log: Logger };
  readonly #onLeft: (left: { user: UserName; id: string; ended: boolean }) => void;
  readonly #end = new AbortController();
  #written: Promise<void> = Promise.resolve();
  #record: Session | null = null;

  constructor(
    deps: { store: BoxStore; log: Logger },
    user: UserName,
    id: string,
    onLeft: (left: { user: UserName; id: string; ended: boolean }) => void,
  ) {
    this.#deps = deps;
    this.user = user;
    this.#id = id;
    this.#onLeft = onLeft;
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  end(ending: Ending): void {
    if (!this.signal.aborted) this.#end.abort(ending);
  }

  record(session: Session): void {
    this.#record = session;
    this.#write(session, `terminal ${session.id} (${session.mode}) in container ${session.containerId.slice(0, 12)}`);
  }

  recordAgain(): void {
    if (this.#record) this.#write(this.#record, '');
  }

  async leave(told: string): Promise<void> {
    const wasRecorded = this.#record !== null;
    this.#record = null;
    await this.#written;
    let ended = true;
    if (wasRecorded) {
      try {
        await this.#deps.store.endSession(this.user, this.#id, told);
      } catch (error) {
        ended = false;
        this.#deps.log.warn(
          { user: this.user, session: this.#id, error },
          'session record not ended; trying again later',
        );
      }
    }
    this.#onLeft({ user: this.user, id: this.#id, ended });
  }

  #write(session: Session, told: string): void {
    this.#written = this.#written.then(async () => {
      try {
        await this.#deps.store.putSession(session, told);
      } catch (error) {
        this.#deps.log.warn({ user: this.user, error }, 'session not recorded; it is again when Redis is back');
      }
    });
  }
}
