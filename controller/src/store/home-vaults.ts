import type { UserName } from '#shared/identity.ts';
import type { VaultOrders } from '#shared/vault-orders.ts';
import type { UnreadableEntry, VaultStore } from '#shared/vault-store.ts';
import type { HomeVault } from '../runtime/port.ts';

/** What is to be in the homes of users. */
export interface HomeVaults {
  /** Of at least this revision, which was read before: what changed since is written again. Rejects where it cannot be had. */
  read(user: UserName, revision: number): Promise<OpenedVault>;
  /** What was asked of the home up to this revision is done. */
  settle(user: UserName, revision: number): Promise<void>;
}

/** What cannot be opened is in neither `files` nor `orders`: the home keeps it as it is. */
export interface OpenedVault extends HomeVault {
  readonly unreadable: readonly UnreadableEntry[];
}

export function createHomeVaults(options: { vaults: Pick<VaultStore, 'readable'>; orders: VaultOrders }): HomeVaults {
  const { vaults, orders } = options;
  return {
    async read(user, revision) {
      const [{ files, unreadable }, asked] = await Promise.all([vaults.readable(user), orders.read(user)]);
      const kept = new Set(unreadable.map(({ field }) => field));
      return { revision, files, orders: asked.filter(({ path }) => !kept.has(`f:${path}`)), unreadable };
    },
    settle: (user, revision) => orders.settle(user, revision),
  };
}
