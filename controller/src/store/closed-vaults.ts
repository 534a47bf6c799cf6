import type { BoxStore } from '#shared/box-store.ts';
import { humanCount } from '#shared/human-count.ts';
import type { VaultStore } from '#shared/vault-store.ts';

export interface VaultsAndKeys {
  readonly store: Pick<BoxStore, 'users'>;
  readonly vault: Pick<VaultStore, 'sealedUnder' | 'keyId' | 'keyIds'>;
}

/** What no key that is configured here opens. */
export interface ClosedVaults {
  /** of the keys that are missing; `damaged` for what is no sealed text */
  readonly keyIds: readonly string[];
  /** for people: how many entries, of how many users */
  readonly found: string;
  /** for people: what to do, before a restart */
  readonly mend: string;
}

/** null: every entry is under a key that is configured. Nothing is opened for that: each entry names its key. */
export async function closedVaults({ store, vault }: VaultsAndKeys, signal: AbortSignal): Promise<ClosedVaults | null> {
  const known = new Set(vault.keyIds);
  const keyIds = new Set<string>();
  let users = 0;
  let entries = 0;
  for (const user of await store.users()) {
    signal.throwIfAborted();
    const unknown = [...(await vault.sealedUnder(user))].filter(([keyId]) => !known.has(keyId));
    if (unknown.length === 0) continue;
    users += 1;
    for (const [keyId, count] of unknown) {
      keyIds.add(keyId === '' ? 'damaged' : keyId);
      entries += count;
    }
  }
  if (users === 0) return null;
  const found = `${humanCount(entries, 'entry', 'entries')} in the vaults of ${humanCount(users, 'user')} cannot be opened`;
  const mend =
    vault.keyId === null
      ? 'set SPOON_ENCRYPTION_KEY (or INSTANCE_SECRET)'
      : 'put the secrets of these keys into SPOON_ENCRYPTION_KEY_PREVIOUS, or restore the vaults';
  return { keyIds: [...keyIds].sort(), found, mend };
}
