import { z } from 'zod';
import { hashOf, newSecret } from '#shared/api-token.ts';
import { fromJson } from '#shared/box-store.ts';
import type { Keys } from '#shared/identity.ts';
import { parseJson } from '#shared/json.ts';
import { Role } from '#shared/operator-schemas.ts';
import type { RedisPort } from '#shared/redis-port.ts';

/** How long a login link works, once. */
export const codeTtlMs = 5 * 60_000;
/** How long a console is logged in. */
export const loginTtlMs = 12 * 3_600_000;

/** A console that is logged in, or the code with which one will be. */
export interface Maker {
  /** as which the console asks, for people and events */
  readonly name: string;
  /** the token that made the link; '' = the internal one. A console may nothing any more once that is revoked or has expired */
  readonly tokenId: string;
  readonly role: Role;
}
export interface Login extends Maker {
  readonly expiresAt: number;
}

/**
 * How consoles are logged in. Codes and cookies are kept by their hash only, for as long as they last; what Redis loses is logged
 * out. Every method is one script, and rejects when Redis does not answer.
 */
export interface LoginStore {
  makeCode(maker: Maker): Promise<{ code: string; expiresAt: number }>;
  /** Spends the code. null: it was never made, is spent, is too old, or its maker's token is gone. */
  logIn(code: string): Promise<(Login & { cookie: string }) | null>;
  /** null: nobody is logged in with this cookie. `leftMs`: for how long */
  find(cookie: string): Promise<(Login & { leftMs: number }) | null>;
  logOut(cookie: string): Promise<void>;
}

export function createLoginStore({ redis, keys }: { redis: RedisPort; keys: Keys }): LoginStore {
  return {
    async makeCode({ name, tokenId, role }) {
      const code = newSecret();
      const args = [JSON.stringify({ name, tokenId, role }), codeTtlMs];
      const expiresAt = Moment.parse(await redis.run('put-login-code', [keys.loginCode(hashOf(code))], args));
      return { code, expiresAt };
    },
    async logIn(code) {
      const cookie = newSecret();
      const scriptKeys = [keys.loginCode(hashOf(code)), keys.login(hashOf(cookie)), keys.apiTokens];
      const reply = LogInReply.parse(fromJson(await redis.run('log-in', scriptKeys, [loginTtlMs])));
      return 'refused' in reply ? null : { ...reply, cookie };
    },
    async find(cookie) {
      const reply = await redis.run('find-login', [keys.login(hashOf(cookie)), keys.apiTokens], []);
      const { now, login } = FindReply.parse(fromJson(reply));
      const found = LoginRecord.safeParse(parseJson(login ?? ''));
      if (!found.success || found.data.expiresAt <= now) return null;
      return { ...found.data, leftMs: found.data.expiresAt - now };
    },
    async logOut(cookie) {
      await redis.run('end-login', [keys.login(hashOf(cookie))], []);
    },
  };
}

const Moment = z.string().regex(/^\d+$/).transform(Number);
const LoginRecord = z.object({ name: z.string(), tokenId: z.string(), role: Role, expiresAt: z.number() });
const LogInReply = z.union([z.object({ refused: z.literal('login-code-wrong') }), LoginRecord]);
const FindReply = z.object({ now: z.number(), login: z.string().optional() });
