import { Redis } from 'ioredis';
import { type InstallationId, keysOf, type UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { createVaultOrders, type VaultOrders } from '#shared/vault-orders.ts';
import { createVaultKeys } from '#shared/vault-seal.ts';
import { createVaultStore, type VaultStore } from '#shared/vault-store.ts';

/** What processes of a test seal vaults with: `SPOON_ENCRYPTION_KEY`. */
export const encryptionKey = 'the-encryption-key-of-the-test-0123456789';

export interface TestVaults extends AsyncDisposable {
  readonly vaults: VaultStore;
  readonly orders: VaultOrders;
  /** As a client of the API puts it. */
  put(user: UserName, path: string, text: string, mode?: number): Promise<void>;
  /** By hand. */
  damageOrders(user: UserName, fields: Readonly<Record<string, string>>): Promise<void>;
  /** As a Redis that was emptied. */
  lose(user: UserName): Promise<void>;
}

/** The vaults of an installation, beside its processes. */
export function vaultsOf(of: { redisUrl: string; installation: InstallationId; key?: string }): TestVaults {
  const redis = connectRedis(of.redisUrl, createLogger({ name: 'test', level: 'silent' }));
  const keys = keysOf(of.installation);
  const seal = createVaultKeys({ current: of.key ?? encryptionKey, previous: [] });
  const vaults = createVaultStore({ redis, keys, seal });
  return {
    vaults,
    orders: createVaultOrders({ redis, keys }),
    async put(user, path, text, mode = 0o644) {
      const written = await vaults.putFile(user, { path, mode, content: Buffer.from(text) }, { by: 'test' });
      if (!written.ok) throw new Error(`${path} was refused: ${written.refused}`);
    },
    async damageOrders(user, fields) {
      const bare = new Redis(of.redisUrl);
      await bare.hset(keys.user(user).vaultOrders, fields);
      await bare.quit();
    },
    async lose(user) {
      const bare = new Redis(of.redisUrl);
      await bare.del(keys.user(user).vault);
      await bare.quit();
    },
    [Symbol.asyncDispose]: () => redis.close(),
  };
}
