import {
  backupFormat,
  backupFormatVersion,
  BackupPart,
  BackupQuery,
  type BackupHeader,
  type BackupRecord,
} from '#shared/backup.ts';
import { createRolloutStore } from '#shared/rollout-store.ts';
import { version } from '#shared/version.ts';
import { createBackupStore } from '../store/backup-store.ts';
import type { Api } from './api.ts';
import { continueAfter, placeOf } from './page-place.ts';
import { fromStore } from './problem-reply.ts';

/** One answer holds no more users than this, takes no longer than that, and ends with the record that makes it so long. */
const maxUsersAtOnce = 500;
const maxMs = 1_000;
const maxChars = 1024 * 1024;

/** What Redis knows and cannot be found out anew, part by part: one script a user, so that nobody waits for a backup. */
export function addBackupRoutes({ app, store, redis, keys, classes, clock, installation, homes }: Api): void {
  const backup = createBackupStore({ redis, keys });
  const rollouts = createRolloutStore(redis, keys);

  async function head(users: number): Promise<(BackupHeader | BackupRecord)[]> {
    const { now, mode } = await store.mode();
    const { pause } = await rollouts.read();
    const format = { format: backupFormat, formatVersion: backupFormatVersion, version } as const;
    return [
      { kind: 'header', ...format, installation, takenAt: now, users },
      { kind: 'reconciler', mode, rollout: pause },
      ...[...classes].map(([name, boxClass]): BackupRecord => ({ kind: 'class', name, class: { ...boxClass } })),
      ...(await backup.tokens(now)),
      await homesRecord(),
    ];
  }

  async function homesRecord(): Promise<BackupRecord> {
    const names = await homes.names().catch((error: unknown) => (error instanceof Error ? error : null));
    const note = 'what is in the homes is not in this file: keep them as any other directory';
    if (names === null || names instanceof Error) {
      const why = `they cannot be listed (${names?.message ?? 'for an unknown reason'}); ${note}`;
      return { kind: 'homes', path: homes.path, names: null, note: why };
    }
    return { kind: 'homes', path: homes.path, names: [...names], note };
  }

  app.get(
    '/v1/backup',
    {
      config: { role: 'admin' },
      schema: {
        summary:
          'Records of a backup: one part of them, and where the next one begins. Vaults are sealed, tokens are hashes',
        querystring: BackupQuery,
        response: { 200: BackupPart },
        problems: ['continue-invalid'],
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store');
      const from = request.query.continue;
      const after = from === undefined ? '' : placeOf(from);
      const users = (await fromStore(store.users())).filter((user) => user > after).sort();
      const records = from === undefined ? await fromStore(head(users.length)) : [];
      const startedAt = clock.monotonicMs();
      let done = 0;
      let chars = 0;
      for (const user of users.slice(0, maxUsersAtOnce)) {
        if (done > 0 && (clock.monotonicMs() - startedAt > maxMs || chars > maxChars)) break;
        for (const record of await fromStore(backup.user(user))) {
          chars += sizeOf(record);
          records.push(record);
        }
        done += 1;
      }
      const last = users[done - 1];
      const left = users.length - done;
      return {
        ...{ records, users: { done, left } },
        continue: last === undefined || left === 0 ? null : continueAfter(last),
      };
    },
  );
}

/** In characters, roughly: only a vault is large. */
function sizeOf(record: BackupRecord): number {
  if (record.kind !== 'user' || record.vault === null) return 0;
  return record.vault.entries.reduce((sum, [field, sealed]) => sum + field.length + sealed.length, 0);
}
