import type { AccessStore } from './access-store.ts';
import { hashOf, idOfApiToken, isSameHash } from './api-token.ts';
import type { Clock } from './clock.ts';
import type { Role } from './operator-schemas.ts';
import { ShortMemory } from './short-memory.ts';

/** Who showed a token. */
export interface Bearer {
  /** of the token; `internal`: the one of the configuration */
  readonly id: string;
  /** for people and events */
  readonly name: string;
  readonly role: Role;
  /** Redis TIME, ms; null = until it is revoked */
  readonly expiresAt: number | null;
}

export const internalBearer: Bearer = { id: 'internal', name: 'internal token', role: 'admin', expiresAt: null };

export type Checked =
  | { readonly ok: true; readonly bearer: Bearer }
  | { readonly ok: false; readonly refused: 'token-wrong' | 'token-expired' };

/** How long a token that was right counts as such without a new look: so long goes on what was revoked elsewhere. */
export const rememberedMs = 5_000;
const mostRemembered = 10_000;

/** Who shows which token, for the API and for the gateway. The internal token needs no Redis. */
export interface TokenCheck {
  /** Rejects when Redis does not answer and the token was not right within the last 5 s. */
  check(token: string): Promise<Checked>;
  /** It was revoked here: from now on it is looked up again. */
  forget(id: string): void;
}

export function createTokenCheck(options: { internalToken: string; store: AccessStore; clock: Clock }): TokenCheck {
  const { store, clock } = options;
  const internalHash = hashOf(options.internalToken);
  const memory = new ShortMemory<Bearer>(clock, mostRemembered);
  return {
    async check(token) {
      const hash = hashOf(token);
      if (isSameHash(hash, internalHash)) return { ok: true, bearer: internalBearer };
      if (idOfApiToken(token) === null) return { ok: false, refused: 'token-wrong' };
      const known = memory.get(hash);
      if (known) return { ok: true, bearer: known };
      const since = clock.monotonicMs();
      const found = await store.findToken(token);
      if (!found.ok) return found;
      const { id, name, role, expiresAt } = found.token;
      const bearer = { id, name, role, expiresAt };
      memory.keep(hash, bearer, since, Math.min(rememberedMs, found.leftMs ?? rememberedMs));
      return { ok: true, bearer };
    },
    forget(id) {
      memory.forget((bearer) => bearer.id === id);
    },
  };
}

const rank: Readonly<Record<Role, number>> = { viewer: 0, jobs: 1, admin: 2 };

/** Each role may do all that those before it may. */
export function mayDo(has: Role, needs: Role): boolean {
  return rank[has] >= rank[needs];
}
