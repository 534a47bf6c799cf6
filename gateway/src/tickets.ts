import { createHash, randomBytes } from 'node:crypto';
import { SessionId } from '#shared/terminal-claims.ts';
import type { TerminalMode } from '#shared/terminal-mode.ts';
import { UserName } from '#shared/identity.ts';
import type { StoredTicket } from '#shared/lease.ts';

const secretBytes = 16;

/** One client of a session over all its sockets. */
export interface Guest {
  readonly id: string;
  readonly mode: TerminalMode;
  readonly name: string;
  /** input that has reached the terminal; null = unknown, another gateway received it */
  received: number | null;
  /** of the ticket that another gateway gave: what offset comes with it counts in the output that went through that one; '' = none did */
  readonly foreign: string;
  /** of the ticket that lets its next socket in */
  hash: string;
  /** of the one before, until the client shows that it has got the next: the answer may be lost on its way */
  previous: string;
  /** monotonic ms since when it has no socket; null = it has one */
  goneAtMs: number | null;
}

export type NewGuest = Pick<Guest, 'mode' | 'name' | 'received'> & { readonly foreign?: string };

/** What a resume ticket says by itself: where it belongs. The rest is a secret of which only the hash is kept. */
export interface TicketParts {
  readonly user: UserName;
  readonly session: string;
  readonly hash: string;
}

export function readTicket(ticket: string): TicketParts | null {
  const [user, session, secret, more] = ticket.split('/');
  const parsedUser = UserName.safeParse(user);
  const parsedSession = SessionId.safeParse(session);
  if (!parsedUser.success || !parsedSession.success || !secret || more !== undefined) return null;
  return { user: parsedUser.data, session: parsedSession.data, hash: hashOf(secret) };
}

/**
 * The clients that a session knows, each with one ticket: a new one at each attach, valid while the client is attached and for
 * the grace after it has gone. The one before passes until the client has shown, by any message, that it got the new one.
 */
export class Guests {
  readonly #most: number;
  readonly #guests = new Map<string, Guest>();
  #made = 0;

  constructor(most: number) {
    this.#most = most;
  }

  welcome(of: NewGuest): Guest {
    if (this.#guests.size >= this.#most) this.#forgetOldest();
    this.#made += 1;
    const { foreign = '' } = of;
    const guest: Guest = { ...of, id: `v${this.#made}`, foreign, hash: foreign, previous: '', goneAtMs: null };
    this.#guests.set(guest.id, guest);
    return guest;
  }

  /** The guest whose ticket this is. */
  redeem(hash: string, nowMs: number, graceMs: number): Guest | null {
    for (const guest of this.#guests.values()) {
      if (guest.goneAtMs !== null && nowMs - guest.goneAtMs > graceMs) this.#guests.delete(guest.id);
      else if (guest.hash === hash || guest.previous === hash) {
        guest.hash = hash;
        return guest;
      }
    }
    return null;
  }

  issue(guest: Guest, of: { user: UserName; session: string }): string {
    const secret = randomBytes(secretBytes).toString('base64url');
    guest.previous = guest.hash;
    guest.hash = hashOf(secret);
    return `${of.user}/${of.session}/${secret}`;
  }

  /** For the record, from which another gateway resumes the session. */
  stored(nowMs: number, graceMs: number): StoredTicket[] {
    const valid = [...this.#guests.values()].filter(
      ({ hash, goneAtMs }) => hash !== '' && (goneAtMs === null || nowMs - goneAtMs <= graceMs),
    );
    return valid.map(({ hash, mode, name }) => ({ hash, mode, name }));
  }

  /** Those whom another gateway knew: they may come here now. */
  adopt(tickets: readonly StoredTicket[], nowMs: number): void {
    const known = new Set([...this.#guests.values()].map(({ hash }) => hash));
    for (const { hash, mode, name } of tickets) {
      if (known.has(hash)) continue;
      const guest = this.welcome({ mode, name, received: null, foreign: hash });
      guest.goneAtMs = nowMs;
    }
  }

  #forgetOldest(): void {
    const gone = [...this.#guests.values()].filter(({ goneAtMs }) => goneAtMs !== null);
    const [oldest] = gone.toSorted((a, b) => (a.goneAtMs ?? 0) - (b.goneAtMs ?? 0));
    if (oldest) this.#guests.delete(oldest.id);
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}
