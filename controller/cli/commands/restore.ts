import { parseArgs } from 'node:util';
import { RestoreOutcome, type RestoreResult } from '#shared/backup.ts';
import { humanCount } from '#shared/human-count.ts';
import { InstallationId } from '#shared/identity.ts';
import type { BackupClient } from '../../sdk/backup-client.ts';
import { type BackupFile, openBackup } from '../backup/open-backup.ts';
import { backupRecords, type BackupLine, checkBackup } from '../backup/read-backup.ts';
import { type Command, commonOptions, exitCodes, oneOf, parsed, positionalsOf, usageError } from '../command.ts';
import { mayGoOn, yesOption } from '../confirm.ts';
import { openClient } from '../open-client.ts';
import { hint, print, printable, statusLine } from '../output.ts';

/** One request carries no more records than this, and ends with the one that makes it so long. */
const maxRecordsAtOnce = 200;
const maxChars = 1024 * 1024;

export const restore: Command = {
  name: 'restore',
  summary: 'brings back what a backup holds and Redis has lost',
  help: `Brings back what \`spoonbox backup\` wrote: what is wanted for each user, pins with what is left of their time, vaults, tokens of the
API, the reconciler's mode and the pause of rollouts. The file is read whole first: one that was cut off or changed is refused
before anything is written. Nothing that runs is ended, and no home is touched.

What is newer here stays, and is named; with --overwrite the backup goes before. What has expired stays so. A reap, recreate,
delete or adopt that was asked for and not done then is named, and has to be asked for again. It can be interrupted and run again:
what is done is found to be the same.

Usage: spoonbox restore --file FILE [options]

Options
  --file FILE         what \`spoonbox backup\` wrote
  --dry-run           write nothing: only tell what would become of each record
  --overwrite         also over what is newer here, for each user and kind
  --installation ID   consent to a backup of this other installation
  -y, --yes           do not ask; needed where there is no terminal
  -o json             all results, and how many there are of each outcome

Exits with 1 where something newer stayed, or a record is damaged.

Examples
  spoonbox restore --file before.jsonl --dry-run
  spoonbox restore --file before.jsonl --yes`,
  async run(args, signal) {
    const { values, positionals } = parsed('restore', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          file: { type: 'string' },
          'dry-run': { type: 'boolean', default: false },
          overwrite: { type: 'boolean', default: false },
          installation: { type: 'string' },
          output: { type: 'string', short: 'o', default: 'text' },
          ...yesOption,
        },
        allowPositionals: true,
      }),
    );
    positionalsOf('restore', positionals);
    const { file, overwrite, yes, 'dry-run': dryRun } = values;
    const format = oneOf('restore', 'output', values.output, ['text', 'json']);
    if (file === undefined) throw usageError('--file is missing', 'restore');
    const consent = consentOf(values.installation);
    if (!dryRun && !yes && process.stdin.isTTY !== true) {
      throw usageError('nobody can be asked here: confirm with --yes, or look with --dry-run', 'restore');
    }
    const client = openClient(values);
    const backup = await openBackup(file, signal);
    try {
      return await restoreFrom(backup, { client, overwrite, dryRun, yes, consent, isJson: format === 'json' }, signal);
    } finally {
      await backup.handle.close();
    }
  },
};

async function restoreFrom(
  backup: BackupFile,
  how: {
    readonly client: BackupClient;
    readonly overwrite: boolean;
    readonly dryRun: boolean;
    readonly yes: boolean;
    readonly consent: InstallationId | null;
    readonly isJson: boolean;
  },
  signal: AbortSignal,
): Promise<number> {
  const { client, overwrite, dryRun, yes, consent, isJson } = how;
  const { header, summary } = await checkBackup(backup, signal);
  const total = Object.values(summary.records).reduce((sum, count) => sum + count, 0);
  const users = summary.records.user ?? 0;
  hint(
    `a backup of the installation ${header.installation} of ${new Date(header.takenAt).toISOString()}, with ${humanCount(users, 'user')}`,
  );
  if (!dryRun && !(await mayGoOn('What Redis lost of it comes back', yes, signal))) return exitCodes.failed;

  const line = statusLine();
  const results: RestoreResult[] = [];
  let done = 0;
  try {
    for await (const records of batches(backupRecords(backup, signal))) {
      const body = { header, records, overwrite, dryRun, ...(consent && { fromInstallation: consent }) };
      results.push(...(await client.restoreRecords(body, signal)).results);
      done += records.length;
      if (done < total) line.show(`${done} of ${total} records`);
    }
  } catch (error) {
    line.clear();
    if (done > 0)
      hint(`${done} of ${humanCount(total, 'record')} were done before it failed: run it again, it goes on from there`);
    throw error;
  }
  line.clear();
  const counts = Object.fromEntries(
    RestoreOutcome.options.map((outcome) => [outcome, results.filter((each) => each.outcome === outcome).length]),
  );
  if (isJson) print(JSON.stringify({ dryRun, counts, results }, null, 2));
  else tell(results, dryRun);
  return (counts.kept ?? 0) + (counts.damaged ?? 0) === 0 ? exitCodes.ok : exitCodes.failed;
}

function consentOf(given: string | undefined): InstallationId | null {
  if (given === undefined) return null;
  const id = InstallationId.safeParse(given);
  if (id.success) return id.data;
  throw usageError(`--installation ${given} is no id of an installation`, 'restore');
}

async function* batches(records: AsyncIterable<BackupLine>): AsyncGenerator<BackupLine[]> {
  let batch: BackupLine[] = [];
  let chars = 0;
  for await (const record of records) {
    batch.push(record);
    chars += JSON.stringify(record).length;
    if (batch.length < maxRecordsAtOnce && chars < maxChars) continue;
    yield batch;
    batch = [];
    chars = 0;
  }
  if (batch.length > 0) yield batch;
}

const words: Readonly<Record<RestoreOutcome, string>> = {
  restored: 'restored',
  same: 'as in the backup already',
  kept: 'newer here, so it stays',
  ended: 'not restored',
  damaged: 'damaged',
  note: 'look at this',
};

function tell(results: readonly RestoreResult[], dryRun: boolean): void {
  const isTold = ({ of, outcome }: RestoreResult): boolean =>
    outcome !== 'same' && (outcome !== 'restored' || of === 'token');
  for (const { of, part, outcome, why } of results.filter(isTold)) {
    const what = part === '' ? of : `${of}, ${part}`;
    print(printable(`${what}: ${words[outcome]}${why === '' ? '' : `: ${why}`}`));
  }
  const restored = results.filter(({ outcome }) => outcome === 'restored');
  if (restored.some(({ of }) => of === 'token')) {
    hint('a token that was revoked after the backup was taken is back with the others: revoke it again');
  }
  const count = (outcome: RestoreOutcome): number => results.filter((each) => each.outcome === outcome).length;
  print(
    `${restored.length} ${dryRun ? 'would be restored' : 'restored'}, ${count('same')} the same, ${count('kept')} newer here, ${count('ended')} ended, ${count('damaged')} damaged`,
  );
  if (count('kept') > 0) hint('--overwrite restores also over what is newer here');
}
