import { BackupPart, type RestoreBody, RestoreReply } from '#shared/backup.ts';
import type { Ask } from './ask.ts';

/** What Redis knows of an installation and cannot be found out anew, to be kept and to be brought back. Admins only. */
export interface BackupClient {
  /** One part of a backup; `from`: as the part before said, null = the first, which begins with the header. */
  backupPart(from: string | null, signal: AbortSignal): Promise<BackupPart>;
  /** Some records, in the order of the backup; what is newer there stays. Sent again, it changes nothing. */
  restoreRecords(body: RestoreBody, signal: AbortSignal): Promise<RestoreReply>;
}

export function backupClient(ask: Ask): BackupClient {
  return {
    backupPart(from, signal) {
      const query = from === null ? '' : `?${new URLSearchParams({ continue: from })}`;
      return ask(BackupPart, 'GET', `/v1/backup${query}`, undefined, signal);
    },
    restoreRecords: (body, signal) => ask(RestoreReply, 'POST', '/v1/restore', body, signal),
  };
}
