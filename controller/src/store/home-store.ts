import { type HomeUsage, homeUsageOf } from '#shared/home-usage.ts';
import type { Keys, UserName } from '#shared/identity.ts';
import type { RedisPort } from '#shared/redis-port.ts';

/** What a look told, or why it told nothing. */
export type HomeLook =
  | { readonly usedBytes: number; readonly isWhole: boolean }
  /** one sentence, for people */
  | { readonly problem: string };

/**
 * What homes take up, as looks from inside boxes told. Losing it costs that knowledge until the next look, and nothing else. Every
 * method but `all` is one script; all reject when Redis does not answer.
 */
export interface HomeStore {
  /** Whether to look at this home now: false where a look, of any process, began less than `everyMs` ago. */
  beginLook(user: UserName, everyMs: number): Promise<boolean>;
  /** Wakes whoever shows the box, and the reconciler. A problem leaves what was told before. */
  put(user: UserName, className: string, look: HomeLook): Promise<void>;
  /** Of all homes that were ever looked at, also where there is no box now. */
  all(): Promise<HomeUsage[]>;
}

export function createHomeStore({ redis, keys }: { redis: RedisPort; keys: Keys }): HomeStore {
  return {
    async beginLook(user, everyMs) {
      return (await redis.run('begin-home-look', [keys.homeLooks], [user, everyMs])) === 1;
    },
    async put(user, className, look) {
      const told = 'problem' in look ? ['', '0', look.problem] : [look.usedBytes, look.isWhole ? '1' : '0', ''];
      await redis.run('put-home-usage', [keys.homeUsage], [user, keys.wakeChannel, className, ...told]);
    },
    async all() {
      return (await redis.hashValues(keys.homeUsage)).flatMap((stored) => homeUsageOf(stored) ?? []);
    },
  };
}
