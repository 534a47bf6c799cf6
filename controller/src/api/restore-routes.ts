import { isDeepStrictEqual } from 'node:util';
import {
  backupFormatVersion,
  type BackupHeader,
  BackupRecord,
  type RestoreResult,
  RestoreBody,
  RestoreReply,
  type UserRecord,
} from '#shared/backup.ts';
import { NoQuery } from '#shared/api-schemas.ts';
import type { InstallationId } from '#shared/identity.ts';
import { ProblemError } from '#shared/problem.ts';
import { keyIdOf } from '#shared/vault-seal.ts';
import { maxVaultBytes } from '#shared/vault.ts';
import { createBackupStore, type RestoreHow, whyOf } from '../store/backup-store.ts';
import { callerOf } from './access.ts';
import type { Api } from './api.ts';
import { fromStore } from './problem-reply.ts';

/** A whole vault, sealed and in base64, and what stands around it. */
const bodyBytes = maxVaultBytes * 4;
const mostHomesNamed = 5;

/** Brings records of a backup back: what is lost here, and nothing that is newer. Nothing that runs is ended by it. */
export function addRestoreRoutes(api: Api): void {
  const { app, redis, keys, installation } = api;
  const backup = createBackupStore({ redis, keys });

  async function restored(record: BackupRecord, how: RestoreHow): Promise<RestoreResult[]> {
    switch (record.kind) {
      case 'user': {
        const told = await backup.restoreUser(record, how);
        return [...told, ...missingKeys(record, api)].map((each) => ({ of: `user ${record.user}`, ...each }));
      }
      case 'tokens':
        return (await backup.restoreTokens(record, how)).map((each) => ({ of: 'token', ...each }));
      case 'reconciler':
        return (await backup.restoreModes(record, how)).map((each) => ({ of: 'reconciler', ...each }));
      case 'class':
        return [comparedClass(record, api)];
      case 'homes':
        return [await comparedHomes(record, api)];
      case 'damaged':
        return [{ of: record.of, part: '', outcome: 'damaged', why: `it could not be kept: ${record.why}` }];
    }
  }

  app.post(
    '/v1/restore',
    {
      config: { role: 'admin' },
      bodyLimit: bodyBytes,
      schema: {
        summary: 'Bring records of a backup back; what is newer here stays, and what becomes of each is told',
        querystring: NoQuery,
        body: RestoreBody,
        response: { 200: RestoreReply },
        problems: ['backup-of-another', 'backup-too-new'],
      },
    },
    async (request) => {
      const { header, records, fromInstallation, overwrite, dryRun } = request.body;
      refuse(header, installation, fromInstallation);
      const how = { by: callerOf(request).name, takenAt: header.takenAt, overwrite, dryRun };
      const results: RestoreResult[] = [];
      for (const given of records) {
        const parsed = BackupRecord.safeParse(given);
        if (parsed.success) results.push(...(await fromStore(restored(parsed.data, how))));
        else results.push({ of: nameOf(given), part: '', outcome: 'damaged', why: whyOf(parsed.error) });
      }
      return { results };
    },
  );
}

function refuse(header: BackupHeader, installation: InstallationId, consent: string | undefined): void {
  if (header.formatVersion > backupFormatVersion) {
    throw new ProblemError(
      'backup-too-new',
      `the backup was refused because its format is version ${header.formatVersion}, and ${backupFormatVersion} is read here: use Spoonbox ${header.version} or newer`,
    );
  }
  if (header.installation === installation || header.installation === consent) return;
  throw new ProblemError(
    'backup-of-another',
    `the backup was refused because it is of the installation ${header.installation}, and this is ${installation}: if that is meant, consent with --installation ${header.installation}`,
    { extras: { installation: header.installation } },
  );
}

/** What a record says that it is, where it cannot be read. */
function nameOf(record: Readonly<Record<string, unknown>>): string {
  const name = record.user ?? record.name ?? '';
  return `${String(record.kind)}${typeof name === 'string' && name !== '' ? ` ${name}` : ''}`;
}

type Compared = Extract<BackupRecord, { kind: 'class' | 'homes' }>;

function comparedClass(record: Extract<Compared, { kind: 'class' }>, { classes }: Api): RestoreResult {
  const of = `class ${record.name}`;
  const here = classes.get(record.name);
  if (here === undefined) {
    return { of, part: '', outcome: 'note', why: 'there is no such class here: boxes of it wait until there is' };
  }
  const plain = new Map<string, unknown>(Object.entries(JSON.parse(JSON.stringify(here))));
  const fields = [...new Set([...plain.keys(), ...Object.keys(record.class)])];
  const changed = fields.filter((field) => !isDeepStrictEqual(plain.get(field), record.class[field]));
  if (changed.length === 0) return { of, part: '', outcome: 'same', why: '' };
  return { of, part: '', outcome: 'note', why: `it is another one now, by ${changed.join(', ')}; it stays as it is` };
}

async function comparedHomes(record: Extract<Compared, { kind: 'homes' }>, { homes }: Api): Promise<RestoreResult> {
  const here = await homes.names().catch(() => null);
  if (record.names === null || here === null) {
    return { of: 'homes', part: '', outcome: 'note', why: `they cannot be compared: look into ${homes.path}` };
  }
  const known = new Set(here);
  const missing = record.names.filter((name) => !known.has(name));
  if (missing.length === 0) return { of: 'homes', part: '', outcome: 'same', why: '' };
  const named = missing.slice(0, mostHomesNamed).join(', ') + (missing.length > mostHomesNamed ? ', …' : '');
  const why = `${missing.length} of the homes of ${record.path} are not in ${homes.path} (${named}): bring them back before their boxes start, which would begin with empty ones`;
  return { of: 'homes', part: '', outcome: 'note', why };
}

function missingKeys({ vault }: UserRecord, api: Api): Omit<RestoreResult, 'of'>[] {
  const needed = new Set(vault?.entries.flatMap(([, sealed]) => keyIdOf(sealed) ?? []));
  for (const known of api.vault.keyIds) needed.delete(known);
  if (needed.size === 0) return [];
  const why = `it was sealed under ${[...needed].join(', ')}, not configured here: put that secret into SPOON_ENCRYPTION_KEY or SPOON_ENCRYPTION_KEY_PREVIOUS, and restart`;
  return [{ part: 'vault', outcome: 'note', why }];
}
