import { type Clock, sleep } from '#shared/clock.ts';
import type { BoxStore } from '#shared/box-store.ts';
import type { Logger } from '#shared/log.ts';
import type { VaultKeys } from '#shared/vault-seal.ts';
import type { VaultStore } from '#shared/vault-store.ts';

const retryMs = 2_000;

/**
 * Looks, once, whether the configured keys open what is in the vaults. Nothing is opened for that: each entry names its key. What
 * cannot be opened is told to the log and to `onProblem`, and the process goes on: boxes start without it.
 */
export async function checkVault(
  options: {
    store: Pick<BoxStore, 'users'>;
    vault: Pick<VaultStore, 'sealedUnder'>;
    seal: VaultKeys | null;
    clock: Clock;
    log: Logger;
    onProblem: (problem: string) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const { seal, clock, log, onProblem } = options;
  for (;;) {
    try {
      const closed = await whatStaysClosed(options, signal);
      if (closed === null) return;
      const mend =
        seal === null
          ? 'set SPOON_ENCRYPTION_KEY (or INSTANCE_SECRET)'
          : 'put the secrets of these keys into SPOON_ENCRYPTION_KEY_PREVIOUS, or restore the vaults';
      log.warn({ ...closed, configured: seal?.keyIds ?? [] }, `the vault cannot be opened whole: ${mend}, and restart`);
      onProblem(
        `when this process started, ${closed.entries} entries in the vaults of ${closed.users} users could not be opened: ${mend}, and restart; the log names the keys`,
      );
      return;
    } catch (error) {
      signal.throwIfAborted();
      log.debug({ error }, 'the vaults could not be looked at yet; trying again');
      await sleep(clock, retryMs, signal);
    }
  }
}

/** null: every entry is under a key that is configured. */
async function whatStaysClosed(
  options: Pick<Parameters<typeof checkVault>[0], 'store' | 'vault' | 'seal'>,
  signal: AbortSignal,
): Promise<{ users: number; entries: number; keyIds: string[] } | null> {
  const known = new Set(options.seal?.keyIds ?? []);
  const keyIds = new Set<string>();
  let users = 0;
  let entries = 0;
  for (const user of await options.store.users()) {
    signal.throwIfAborted();
    const unknown = [...(await options.vault.sealedUnder(user))].filter(([keyId]) => !known.has(keyId));
    if (unknown.length === 0) continue;
    users += 1;
    for (const [keyId, count] of unknown) {
      keyIds.add(keyId === '' ? 'damaged' : keyId);
      entries += count;
    }
  }
  return users === 0 ? null : { users, entries, keyIds: [...keyIds].sort() };
}
