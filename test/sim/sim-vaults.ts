import type { Keys } from '#shared/identity.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { createVaultOrders, type VaultOrders } from '#shared/vault-orders.ts';
import { createVaultKeys } from '#shared/vault-seal.ts';
import { createVaultStore, type VaultStore } from '#shared/vault-store.ts';

const seal = createVaultKeys({ current: 'the-encryption-key-of-the-simulation', previous: [] });

/** The vaults of the simulation, as a process reaches them. */
export function simVaults(redis: RedisPort, keys: Keys): { vaults: VaultStore; orders: VaultOrders } {
  return { vaults: createVaultStore({ redis, keys, seal }), orders: createVaultOrders({ redis, keys }) };
}
