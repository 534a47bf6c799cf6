import type { UserName } from '#shared/identity.ts';
import type { StoredTicket } from '#shared/lease.ts';
import { checkoutIn, type TerminalClaims } from '#shared/terminal-claims.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import { noSpan, type Span } from '#shared/tracing.ts';
import type { TerminalClient } from './client.ts';
import { ClientGone, Ending, storeIsSilent } from './ending.ts';
import { type SessionDeps, type SessionOf, TerminalSession } from './session.ts';
import { type NewGuest, readTicket } from './tickets.ts';

/**
 * All terminals of this gateway, and the way into them: a token makes a session or joins one, a ticket comes back to one.
 *
 * INVARIANT: a user's session id is here at most once, also while its last shell is being ended.
 */
export class Sessions {
  readonly #deps: SessionDeps;
  readonly #open = new Map<string, { readonly session: TerminalSession; readonly closed: Promise<void> }>();
  /** records that could not be ended because Redis was down */
  readonly #unended = new Map<string, { user: UserName; id: string }>();
  #closed: Ending | null = null;
  #whenEmpty: (() => void)[] = [];
  opened = 0;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Throws an Ending where a client with these claims has no place here. `evicts`: of those whom nobody looks at, the oldest goes. */
  mustHavePlace(of: { user: UserName; session: string }, evicts = true): void {
    if (this.#closed) throw this.#closed;
    if (this.#open.has(keyOf(of.user, of.session))) return;
    const { limits } = this.#deps;
    const { all, ofUser } = this.#those(of.user);
    if (ofUser.length >= limits.sessionsPerUser && !makeRoom(ofUser, evicts)) {
      throw new Ending('too-many-sessions', { message: `${of.user} has ${ofUser.length} terminals here; end some` });
    }
    if (all.length >= limits.sessionsPerGateway && !makeRoom(all, evicts)) {
      throw new Ending('too-many-sessions', { message: `this gateway has ${limits.sessionsPerGateway} terminals` });
    }
  }

  /**
   * A client with these claims, which were let in, is on its way: what its session needs of Redis is begun meanwhile, and its shell
   * where it has said its `size` already. The answer is called when the client has entered, or does not come. No other session has
   * to go for one who has not come yet.
   */
  expect(claims: TerminalClaims, size: TerminalSize | null, attach: Span): () => void {
    const known = this.#open.get(keyOf(claims.user, claims.session));
    if (this.#closed || known?.session.wasEntered || known?.session.isOver) return () => {};
    const { limits } = this.#deps;
    const { all, ofUser } = this.#those(claims.user);
    const isFull = ofUser.length >= limits.sessionsPerUser || all.length >= limits.sessionsPerGateway;
    if (!known && isFull) return () => {};
    return (known?.session ?? this.#make(sessionOf(claims, size, attach))).expect();
  }

  /** Who shows a token that was let in. `isKnown`: it has seen the session before. Throws an Ending where there is no place. */
  async enter(claims: TerminalClaims, client: TerminalClient, isKnown: boolean, attach: Span = noSpan): Promise<void> {
    const { user, session: id, mode } = claims;
    const guest = { mode, name: claims.name ?? user, received: 0 };
    if (!isKnown) this.#open.get(keyOf(user, id))?.session.giveWay();
    await this.#at(claims, client, (session) => {
      this.mustHavePlace(claims);
      const entered = session ?? this.#make(sessionOf(claims, null, attach));
      entered.record(claims.record ?? null);
      if (entered.wasEntered) entered.attach(client, entered.welcome(guest), null);
      else enterFirst(entered, client, guest, isKnown);
      // That of who made the session ends with the shell's first byte.
      if (entered.of.attach !== attach) attach.end();
    });
  }

  /**
   * Who shows a ticket. Throws an Ending where it is not, or no more, good for anything here. `accepted` is told whose it is,
   * once it is known to be good, and may throw; the ticket stays good then.
   */
  async resume(
    ticket: string,
    client: TerminalClient,
    has: number | null,
    accepted: (user: UserName) => void,
    attach: Span = noSpan,
  ): Promise<void> {
    const parts = readTicket(ticket);
    if (parts === null) throw refusedTicket('it is none of ours');
    const { user, session: id, hash } = parts;
    const isHere = await this.#at(parts, client, (session) => {
      if (!session) return false;
      const guest = session.redeem(hash);
      if (guest === null) throw refusedTicket('it was used, or has expired');
      accepted(user);
      session.attach(client, guest, guest.foreign === hash ? null : has);
      attach.end();
      return true;
    });
    if (isHere) return;
    const { mode, name } = await this.#elsewhere(user, id, hash);
    accepted(user);
    await this.#at(parts, client, (session) => {
      if (session) {
        // Another client of it came meanwhile, or the same ticket twice.
        const guest = session.redeem(hash);
        if (guest === null) throw refusedTicket('it was used');
        session.attach(client, guest, null);
        attach.end();
        return;
      }
      this.mustHavePlace(parts);
      const made = this.#make({ user, id, mode, place: noPlace, size: null, record: null, takeOver: true, attach });
      enterFirst(made, client, { mode, name, received: null, foreign: hash }, true);
    });
  }

  /** After Redis may have lost them. */
  recordAgain(): void {
    for (const { session } of this.#open.values()) session.recordAgain();
  }

  /** Tries again to end the records that are left over. */
  async endLeftRecords(): Promise<void> {
    for (const [key, { user, id }] of this.#unended) {
      if (!this.#open.has(key)) await this.#deps.store.endSession({ user, id, gateway: this.#deps.gateway }, '');
      this.#unended.delete(key);
    }
  }

  /** Ends all, and lets nobody in any more. */
  close(ending: Ending): void {
    this.#closed = ending;
    for (const { session } of this.#open.values()) session.end(ending);
  }

  empty(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  /**
   * Enters the session, once what was before it under its name is gone; null where there is none. `enter` runs in the very step
   * of the look: after any wait, another client may have made one, or ended it.
   */
  async #at<Result>(
    { user, session: id }: { user: UserName; session: string },
    client: TerminalClient,
    enter: (session: TerminalSession | null) => Result,
  ): Promise<Result> {
    for (;;) {
      if (this.#closed) throw this.#closed;
      if (client.gone.aborted) throw client.gone.reason;
      const known = this.#open.get(keyOf(user, id));
      if (!known?.session.isOver) return enter(known?.session ?? null);
      await known.closed;
    }
  }

  /** What the record of a session that is not here says of a ticket: where another gateway can resume it, this one does. */
  async #elsewhere(user: UserName, id: string, hash: string): Promise<StoredTicket> {
    const { store, log } = this.#deps;
    try {
      const record = (await store.read(user)).sessions.find((session) => session.id === id);
      if (!record) throw refusedTicket('its session is no more');
      const ticket = record.tickets.find((stored) => stored.hash === hash);
      // The record has all that are good. One that proves nothing is not told where the session is.
      if (record.persist === 'tmux' && !ticket) throw refusedTicket('it was used, or has expired');
      const { now, gateways } = await store.gateways();
      const owner = gateways.find((gateway) => gateway.id === record.gateway && gateway.expiresAt > now);
      // Who may type may also take it from a gateway that seems to live: it may have died just now. Who looks may not.
      const mayTake = ticket?.mode === 'rw' || !owner || owner.id === this.#deps.gateway || record.detachedAt > 0;
      if (record.persist === 'tmux' && ticket && mayTake) return ticket;
      if (!owner || owner.id === this.#deps.gateway) throw refusedTicket('the gateway that had its session is gone');
      const message = `the terminal ${id} is on another gateway, ${owner.id}`;
      throw new Ending('elsewhere', { message, address: owner.address });
    } catch (error) {
      if (error instanceof Ending) throw error;
      log.warn({ user, error }, 'no terminal resumed: Redis does not answer');
      throw storeIsSilent();
    }
  }

  /** Those of which the place is not as good as free: all, and a user's. */
  #those(user: UserName): { all: TerminalSession[]; ofUser: TerminalSession[] } {
    const all: TerminalSession[] = [];
    const ofUser: TerminalSession[] = [];
    for (const { session } of this.#open.values()) {
      if (session.isOver) continue;
      all.push(session);
      if (session.of.user === user) ofUser.push(session);
    }
    return { all, ofUser };
  }

  #make(of: SessionOf): TerminalSession {
    const key = keyOf(of.user, of.id);
    const session = new TerminalSession(this.#deps, of);
    const closed = Promise.withResolvers<void>();
    this.#open.set(key, { session, closed: closed.promise });
    this.#unended.delete(key);
    this.opened += 1;
    // In the next turn, so that its first client is there.
    queueMicrotask(() => {
      void session.run().then((recordEnded) => {
        this.#open.delete(key);
        if (!recordEnded && this.#unended.size < this.#deps.limits.unendedRecords) this.#unended.set(key, of);
        closed.resolve();
        if (this.#open.size > 0) return;
        for (const resolve of this.#whenEmpty) resolve();
        this.#whenEmpty = [];
      });
    });
    return session;
  }
}

/** The record of the session has it. */
const noPlace = { directory: null, checkout: null };

function sessionOf(claims: TerminalClaims, size: TerminalSize | null, attach: Span): SessionOf {
  const { user, session: id, mode, directory = null, record = null } = claims;
  const place = { directory, checkout: checkoutIn(claims) };
  return { user, id, mode, place, size, record, takeOver: false, attach };
}

/** A session that its first client does not get into has nobody. */
function enterFirst(session: TerminalSession, client: TerminalClient, guest: NewGuest, isKnown: boolean): void {
  const hasCome = session.expect();
  try {
    session.enterFirst(client, guest, isKnown);
  } finally {
    hasCome();
  }
}

/** Ends the session that has been without a client for longest; false where each has one. */
function makeRoom(sessions: readonly TerminalSession[], evicts: boolean): boolean {
  const [oldest] = sessions
    .filter(({ emptySinceMs }) => emptySinceMs !== null)
    .toSorted((a, b) => (a.emptySinceMs ?? 0) - (b.emptySinceMs ?? 0));
  if (evicts) oldest?.end(new ClientGone('its place was needed for another terminal', true));
  return oldest !== undefined;
}

function keyOf(user: UserName, session: string): string {
  return `${user}/${session}`;
}

function refusedTicket(why: string): Ending {
  return new Ending('token-refused', {
    errorCode: 'ticket-refused',
    message: `the resume ticket is refused: ${why}; ask for a token`,
  });
}
