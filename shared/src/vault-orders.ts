import { z } from 'zod';
import { fromJson, userScriptKeys } from './box-store.ts';
import type { Keys, UserName } from './identity.ts';
import type { RedisPort } from './redis-port.ts';

/**
 * What is asked of a home for the vault's sake, beside what the vault holds. `drop`: the file was removed from the vault, and is to
 * go from the home unless it was edited there. `take`: the vault's file is to be there whatever is there now.
 */
export interface VaultOrder {
  readonly order: 'drop' | 'take';
  /** a `VaultPath` */
  readonly path: string;
  /** of the vault, when it was given */
  readonly revision: number;
}

export type TakenFile =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly refused: 'entry-unknown'; readonly detail: string };

/** The orders for the homes of all users. `drop` is given by the script that removes a file. All methods reject when Redis does not answer. */
export interface VaultOrders {
  read(user: UserName): Promise<VaultOrder[]>;
  /** `by`: who asks, for events */
  take(user: UserName, path: string, by: string): Promise<TakenFile>;
  /** Forgets what was asked for up to this revision: it is done. */
  settle(user: UserName, revision: number): Promise<void>;
}

export function createVaultOrders(options: { redis: RedisPort; keys: Keys }): VaultOrders {
  const { redis, keys } = options;
  return {
    async read(user) {
      return ordersOf(Flat.parse(await redis.run('read-vault-orders', [keys.user(user).vaultOrders], [])));
    },
    async take(user, path, by) {
      const args = [user, keys.wakeChannel, keys.statusChannel, path, by];
      const reply = TakeReply.parse(fromJson(await redis.run('take-vault-file', userScriptKeys(keys, user), args)));
      return 'refused' in reply ? { ok: false, ...reply } : { ok: true, ...reply };
    },
    async settle(user, revision) {
      await redis.run('settle-vault', [keys.user(user).vaultOrders], [revision]);
    },
  };
}

/** Fields and values of the hash that keeps them. What is damaged is as good as lost. */
export function ordersOf(flat: readonly string[]): VaultOrder[] {
  const orders: VaultOrder[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const parsed = OrderEntry.safeParse([flat[i], flat[i + 1]?.split(':')]);
    if (!parsed.success) continue; // or it is `revision`
    const [field, [order, revision]] = parsed.data;
    orders.push({ order, path: field.slice(fieldPrefix.length), revision });
  }
  return orders;
}

/** As it is kept. */
export function orderEntry({ order, path, revision }: VaultOrder): [field: string, order: string] {
  return [fieldPrefix + path, `${order}:${revision}`];
}

const fieldPrefix = 'p:';
const Flat = z.array(z.string());
const OrderEntry = z.tuple([
  z.string().startsWith(fieldPrefix),
  z.tuple([z.enum(['drop', 'take']), z.coerce.number()]),
]);
const TakeReply = z.union([
  z.object({ revision: z.number() }),
  z.object({ refused: z.literal('entry-unknown'), detail: z.string() }),
]);
