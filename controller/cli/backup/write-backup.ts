import { createHash } from 'node:crypto';
import type { BackupSummary } from '#shared/backup.ts';
import type { BackupClient } from '../../sdk/backup-client.ts';

/** What a backup holds: for people, once it is written. */
export interface Written {
  readonly users: number;
  readonly damaged: number;
  readonly keyIds: readonly string[];
}

/** Writes all lines of a backup, from its header to its digest. `write` takes a piece and resolves when the next one may come. */
export async function writeBackup(
  client: BackupClient,
  write: (text: string) => Promise<void>,
  onProgress: (users: { readonly done: number; readonly of: number }) => void,
  signal: AbortSignal,
): Promise<Written> {
  const digest = createHash('sha256');
  const records: Record<string, number> = {};
  const keyIds = new Set<string>();
  async function put(record: object): Promise<void> {
    const line = `${JSON.stringify(record)}\n`;
    digest.update(line);
    await write(line);
  }
  let done = 0;
  for (let from: string | null = null, isFirst = true; isFirst || from !== null; isFirst = false) {
    const part = await client.backupPart(from, signal);
    for (const record of part.records) {
      await put(record);
      if (record.kind === 'header') continue;
      records[record.kind] = (records[record.kind] ?? 0) + 1;
      if (record.kind !== 'user') continue;
      // `v1.<key id>.…`
      for (const [, sealed] of record.vault?.entries ?? []) keyIds.add(sealed.split('.')[1] ?? '');
    }
    done += part.users.done;
    onProgress({ done, of: done + part.users.left });
    from = part.continue;
  }
  await put({ kind: 'summary', records, keyIds: [...keyIds].sort() } satisfies BackupSummary);
  await write(`${JSON.stringify({ kind: 'end', sha256: digest.digest('hex') })}\n`);
  return { users: records.user ?? 0, damaged: records.damaged ?? 0, keyIds: [...keyIds].sort() };
}
