import { z } from 'zod';
import { ClassName, InstallationId, UserName } from './identity.ts';
import { Lease } from './lease.ts';
import { ModeView, Role, RolloutPause, TokenId } from './operator-schemas.ts';
import { maxFiles, maxVariables, VariableName, VaultPath } from './vault.ts';

/**
 * A backup of an installation: lines of JSON, one record each. The first is the header, the last two are the summary and the end,
 * whose digest tells a file that was cut off or changed. It guards against accidents, not against somebody who writes another
 * digest. All times are Redis TIME in ms. What is in no record: homes, leases but pins, statuses, events, the encryption key.
 */
export const backupFormat = 'spoonbox-backup';
export const backupFormatVersion = 1;

const Moment = z.int().min(0).max(99_999_999_999_999);

export const BackupHeader = z.object({
  kind: z.literal('header'),
  format: z.literal(backupFormat),
  formatVersion: z.int(),
  /** of the Spoonbox that wrote it */
  version: z.string(),
  installation: InstallationId,
  takenAt: Moment,
  /** users that were known when it was begun; the summary has what is in the file */
  users: z.int().min(0),
});
export type BackupHeader = z.infer<typeof BackupHeader>;

const ReconcilerRecord = z.object({ kind: z.literal('reconciler'), mode: ModeView, rollout: RolloutPause });

/** As it was loaded, with what the environment replaced: for comparison, a restore changes no class. */
const ClassRecord = z.object({
  kind: z.literal('class'),
  name: ClassName,
  class: z.record(z.string(), z.unknown()),
});

export const BackedToken = z.object({
  id: TokenId,
  name: z.string(),
  role: Role,
  /** SHA-256 of the token, which is nowhere */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: Moment,
  expiresAt: Moment.optional(),
  lastUsedAt: Moment.optional(),
});
export type BackedToken = z.infer<typeof BackedToken>;
const TokensRecord = z.object({ kind: z.literal('tokens'), items: z.array(BackedToken) });

const HomesRecord = z.object({
  kind: z.literal('homes'),
  /** as the controller sees it */
  path: z.string(),
  /** null: they could not be listed, `note` says why */
  names: z.array(z.string()).nullable(),
  /** for people */
  note: z.string(),
});

/** What is left of its time by then is what a restored pin gets. */
const BackedPin = Lease.omit({ trace: true, endedAt: true, endReason: true }).extend({
  kind: z.literal('pin'),
  takenAt: Moment,
  expiresAt: Moment,
  ttlMs: Moment,
});

/** Sealed as in Redis: under which key says its beginning. */
const Sealed = z.string().regex(/^v1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$/, { error: 'is no sealed text' });
const VaultField = z
  .string()
  .refine((field) => (field.startsWith('f:') ? VaultPath : VariableName).safeParse(field.slice(2)).success, {
    error: 'names no file and no variable',
  })
  .refine((field) => field.startsWith('f:') || field.startsWith('e:'), { error: 'begins with f: or e:' });
const BackedVault = z.object({
  revision: Moment.min(1),
  /** as in Redis: `f:<path>` or `e:<NAME>`, and what is sealed of it */
  entries: z
    .array(z.tuple([VaultField, Sealed]))
    .min(1)
    .max(maxFiles + maxVariables)
    .refine((entries) => new Set(entries.map(([field]) => field)).size === entries.length, {
      error: 'has a name twice',
    }),
});

export const UserRecord = z
  .object({
    kind: z.literal('user'),
    user: UserName,
    desired: z
      .object({ class: ClassName, generation: Moment, lastActivityAt: Moment, lastActivityCause: z.string() })
      .nullable(),
    /** asked for and not done when the backup was taken: told at a restore, never asked for again by itself */
    wishes: z.array(z.enum(['reap', 'recreate', 'delete', 'adopt'])),
    pins: z.array(BackedPin),
    vault: BackedVault.nullable(),
    /** of the home for the vault's sake, and not done when the backup was taken; older backups have none */
    vaultOrders: z.array(z.object({ order: z.enum(['drop', 'take']), path: VaultPath, revision: Moment })).default([]),
  })
  .refine(({ desired, pins }) => desired !== null || pins.length === 0, { error: 'has pins, but no desired state' });
export type UserRecord = z.infer<typeof UserRecord>;

/** What is in Redis and cannot be kept, because it cannot be read: a restore tells it again. */
const DamagedRecord = z.object({ kind: z.literal('damaged'), of: z.string(), why: z.string() });

/** Between the header and the summary. */
export const BackupRecord = z.discriminatedUnion('kind', [
  ReconcilerRecord,
  ClassRecord,
  TokensRecord,
  HomesRecord,
  UserRecord,
  DamagedRecord,
]);
export type BackupRecord = z.infer<typeof BackupRecord>;

export const BackupSummary = z.object({
  kind: z.literal('summary'),
  /** records by their kind */
  records: z.record(z.string(), z.int()),
  /** the keys without which the vaults cannot be read */
  keyIds: z.array(z.string()),
});
export type BackupSummary = z.infer<typeof BackupSummary>;

/** `sha256`: of all bytes before this line. */
export const BackupEnd = z.object({ kind: z.literal('end'), sha256: z.string() });

export const BackupQuery = z.strictObject({
  continue: z.string().max(200).optional().describe('as the answer before said; the beginning, without it'),
});
/** A part of a backup; the first begins with the header. */
export const BackupPart = z.object({
  records: z.array(z.union([BackupHeader, BackupRecord])),
  users: z.object({ done: z.number(), left: z.number() }),
  /** null = this was the last part */
  continue: z.string().nullable(),
});
export type BackupPart = z.infer<typeof BackupPart>;

/** `same`: it is as in the backup. `kept`: something newer is here, and stays. `ended`: its time is over. */
export const RestoreOutcome = z.enum(['restored', 'same', 'kept', 'ended', 'damaged', 'note']);
export type RestoreOutcome = z.infer<typeof RestoreOutcome>;

export const RestoreBody = z.strictObject({
  header: BackupHeader,
  records: z
    .array(z.looseObject({ kind: z.string() }))
    .describe('each is checked by itself: one that is damaged is told'),
  fromInstallation: InstallationId.optional().describe('consent to a backup of this other installation'),
  overwrite: z.boolean().default(false).describe('also what is newer here'),
  dryRun: z.boolean().default(false).describe('nothing is written, it is only told what would be'),
});
export type RestoreBody = z.input<typeof RestoreBody>;

export const RestoreReply = z.object({
  results: z.array(
    z.object({
      /** `user alice`, `tokens`, `class small` */
      of: z.string(),
      /** `desired`, `pin p1`, `vault`; '' = all of it */
      part: z.string(),
      outcome: RestoreOutcome,
      /** '' where there is nothing to say */
      why: z.string(),
    }),
  ),
});
export type RestoreReply = z.infer<typeof RestoreReply>;
export type RestoreResult = RestoreReply['results'][number];
