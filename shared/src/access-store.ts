import { z } from 'zod';
import { hashOf, idOfApiToken, isSameHash, newApiToken } from './api-token.ts';
import { fromJson } from './box-store.ts';
import type { Keys } from './identity.ts';
import { parseJson } from './json.ts';
import { type ApiToken, type ApiTokenBody, type ApiTokenReply, Role, TokenId } from './operator-schemas.ts';
import type { RedisPort } from './redis-port.ts';

/** One more is refused, unless some have expired. */
export const maxApiTokens = 1_000;

/** `leftMs`: how long it allows what it does, from now on; null = until it is revoked. */
export type FoundToken =
  | { readonly ok: true; readonly token: ApiToken; readonly leftMs: number | null }
  | { readonly ok: false; readonly refused: 'token-wrong' | 'token-expired' };

/**
 * The tokens of the API, as Redis keeps them: what is lost there is revoked. Every method is one script, and rejects when Redis
 * does not answer; a token whose making was not answered is in the list, and allows nothing to anybody.
 */
export interface AccessStore {
  /** The only time that the token itself is told. null: there are as many as may be. */
  makeToken(body: ApiTokenBody): Promise<ApiTokenReply | null>;
  /** Oldest first; those that expired in the last day among them. */
  tokens(): Promise<ApiToken[]>;
  /** False: there is none with this id. */
  revokeToken(id: string): Promise<boolean>;
  /** Looks a token up that somebody showed, and notes its use to the minute. */
  findToken(token: string): Promise<FoundToken>;
}

export function createAccessStore({ redis, keys }: { redis: RedisPort; keys: Keys }): AccessStore {
  return {
    async makeToken({ name, role, ttlMs }) {
      const { id, token } = newApiToken();
      const record = JSON.stringify({ id, name, role, hash: hashOf(token) });
      const args = [id, record, ttlMs ?? 0, maxApiTokens];
      const reply = MakeReply.parse(fromJson(await redis.run('make-token', [keys.apiTokens], args)));
      if ('refused' in reply) return null;
      return { ...viewOf(TokenRecord.parse(fromJson(reply.record))), token };
    },
    async tokens() {
      const lines = z.array(z.string()).parse(await redis.run('list-tokens', [keys.apiTokens], []));
      const records = lines.flatMap((line) => TokenRecord.safeParse(parseJson(line)).data ?? []);
      return records.map(viewOf).toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
    },
    async revokeToken(id) {
      return (await redis.run('revoke-token', [keys.apiTokens], [id])) === 1;
    },
    async findToken(token) {
      const id = idOfApiToken(token);
      if (id === null) return { ok: false, refused: 'token-wrong' };
      const hash = hashOf(token);
      const reply = FindReply.parse(fromJson(await redis.run('find-token', [keys.apiTokens], [id, hash])));
      const record = TokenRecord.safeParse(parseJson(reply.record ?? ''));
      if (!record.success || record.data.id !== id || !isSameHash(record.data.hash, hash)) {
        return { ok: false, refused: 'token-wrong' };
      }
      const { expiresAt } = record.data;
      if (expiresAt !== undefined && expiresAt <= reply.now) return { ok: false, refused: 'token-expired' };
      return { ok: true, token: viewOf(record.data), leftMs: expiresAt === undefined ? null : expiresAt - reply.now };
    },
  };
}

/** As it is kept. A record that somebody damaged is as good as lost. */
const TokenRecord = z.object({
  id: TokenId,
  name: z.string(),
  role: Role,
  hash: z.string(),
  createdAt: z.number(),
  expiresAt: z.number().optional(),
  lastUsedAt: z.number().optional(),
});
const MakeReply = z.union([z.object({ refused: z.literal('too-many-tokens') }), z.object({ record: z.string() })]);
const FindReply = z.object({ now: z.number(), record: z.string().optional() });

function viewOf({ hash: _, ...record }: z.infer<typeof TokenRecord>): ApiToken {
  return { ...record, expiresAt: record.expiresAt ?? null, lastUsedAt: record.lastUsedAt ?? null };
}
