import type { UserName } from '#shared/identity.ts';
import type { VaultOrders } from '#shared/vault-orders.ts';
import type { VaultStore } from '#shared/vault-store.ts';
import type { HomeVault } from '../runtime/port.ts';

/** What is to be in the homes of users. */
export interface HomeVaults {
  /**
   * Of at least this revision, which was read before: what changed since is written again. Rejects where it cannot be had, or not
   * be opened.
   */
  read(user: UserName, revision: number): Promise<HomeVault>;
  /** What was asked of the home up to this revision is done. */
  settle(user: UserName, revision: number): Promise<void>;
}

export function createHomeVaults(options: { vaults: Pick<VaultStore, 'read'>; orders: VaultOrders }): HomeVaults {
  const { vaults, orders } = options;
  return {
    async read(user, revision) {
      const [{ files }, asked] = await Promise.all([vaults.read(user), orders.read(user)]);
      return { revision, files, orders: asked };
    },
    settle: (user, revision) => orders.settle(user, revision),
  };
}
