import { noVaultKey } from '#shared/vault-seal.ts';
import { RotateQuery, VaultRotated } from '#shared/vault-schemas.ts';
import type { Api } from './api.ts';
import { continueAfter, placeOf } from './page-place.ts';
import { fromStore } from './problem-reply.ts';
import { fromVault } from './vault-problems.ts';

/** One request works at the vaults of no more users than this, and no longer than that: whoever asks shows the progress. */
const maxUsersAtOnce = 500;
const maxMs = 2_000;
const maxUnreadableTold = 100;

/** Seals all vaults anew under the current key, part by part. A part that is asked for again finds that nothing is left to do. */
export function addVaultRotateRoutes({ app, store, vault, clock }: Api): void {
  app.post(
    '/v1/vault/rotate',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Seal the vaults anew under the current key: one part of them, and where the next one begins',
        querystring: RotateQuery,
        response: { 200: VaultRotated },
        problems: ['vault-no-key', 'continue-invalid'],
      },
    },
    async (request) => {
      const { keyId } = vault;
      if (keyId === null) return await fromVault(Promise.reject(noVaultKey()));
      const from = request.query.continue;
      const after = from === undefined ? '' : placeOf(from);
      const users = (await fromStore(store.users())).filter((user) => user > after).sort();
      const entries = { resealed: 0, current: 0, changed: 0, unreadable: 0 };
      const unreadable: VaultRotated['unreadable'] = [];
      const startedAt = clock.monotonicMs();
      let done = 0;
      for (const user of users.slice(0, maxUsersAtOnce)) {
        if (done > 0 && clock.monotonicMs() - startedAt > maxMs) break;
        const of = await fromVault(vault.rotate(user));
        entries.resealed += of.resealed;
        entries.current += of.current;
        entries.changed += of.changed;
        entries.unreadable += of.unreadable.length;
        const room = maxUnreadableTold - unreadable.length;
        unreadable.push(...of.unreadable.slice(0, room).map((each) => ({ user, ...each })));
        done += 1;
      }
      const last = users[done - 1];
      const left = users.length - done;
      return {
        ...{ keyId, users: { done, left }, entries, unreadable },
        continue: last === undefined || left === 0 ? null : continueAfter(last),
      };
    },
  );
}
