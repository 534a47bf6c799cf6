import { z } from 'zod';
import { UserName } from './identity.ts';
import { defaultFileMode, VariableName, VariableValue, VaultPath } from './vault.ts';

/** What the HTTP API takes and answers about vaults. Where a value is answered, an admin asked for it. */

export const VaultParams = z.strictObject({ user: UserName });
/** In a URL the slashes of a path are written `%2F`. */
export const DotfileParams = z.strictObject({ user: UserName, path: VaultPath });
export const VariableParams = z.strictObject({ user: UserName, name: VariableName });

const Mode = z
  .string()
  .regex(/^0?[0-7]{3}$/, { error: 'is a mode of three octal digits, such as 0644' })
  .describe('permission bits in octal: 0644');
export function modeText(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
const DefaultMode = Mode.default(modeText(defaultFileMode));
const Encoding = z.enum(['utf8', 'base64']);
const content = z.string().describe('text, or base64 of any bytes');

export const DotfileBody = z.strictObject({ content, encoding: Encoding.default('utf8'), mode: DefaultMode });
export type DotfileBody = z.input<typeof DotfileBody>;

/** `revision`: of the whole vault, as the ETag has it; it grows with every change. */
export const DotfileView = z.object({
  revision: z.number(),
  path: z.string(),
  mode: Mode,
  encoding: Encoding,
  content,
});
export type DotfileView = z.infer<typeof DotfileView>;

export const VariableBody = z.strictObject({ value: VariableValue });
export const VariableView = z.object({ revision: z.number(), name: z.string(), value: z.string() });

/** What is told of an entry without its value. */
const entry = {
  /** of the value; null where it cannot be opened */
  bytes: z.number().nullable(),
  /** of the key that it is sealed under; '' where it is damaged */
  keyId: z.string(),
  /** a key that is configured here opens it */
  opens: z.boolean(),
};
export const DotfileList = z.object({
  revision: z.number(),
  items: z.array(z.object({ path: z.string(), mode: Mode.nullable(), ...entry })),
});
export type DotfileList = z.infer<typeof DotfileList>;
export const VariableList = z.object({
  revision: z.number(),
  items: z.array(z.object({ name: z.string(), ...entry })),
});
export type VariableList = z.infer<typeof VariableList>;

/** `revision` 0 = nothing is left. */
export const VaultChanged = z.object({ revision: z.number() });

/** A whole vault, as it is answered and as it can be put again. */
export const VaultView = z.object({
  revision: z.number(),
  dotfiles: z.array(z.object({ path: z.string(), mode: Mode, encoding: Encoding, content })),
  environment: z.record(z.string(), z.string()),
});
export type VaultView = z.infer<typeof VaultView>;

/**
 * What is imported. An entry that is refused (its name, its size) is told in the answer, and the rest goes on. `userDotfiles` and
 * `userEnvironment` are tables of Spoon as they were exported: `spoon-export.ts` says which fields of them are read.
 */
export const VaultImportBody = z.strictObject({
  replace: z.boolean().default(false).describe('what is not put is removed'),
  dryRun: z.boolean().default(false).describe('nothing is written, it is only told what would be'),
  revision: z.number().optional().describe('of a GET: without effect here, If-Match is what counts'),
  dotfiles: z
    .array(z.strictObject({ path: z.string(), content, encoding: Encoding.default('utf8'), mode: DefaultMode }))
    .default([]),
  environment: z.record(z.string(), z.string()).default({}),
  owner: z.string().optional().describe("whose rows of Spoon's tables; where they are of one user, it can be left out"),
  userDotfiles: z.array(z.looseObject({})).optional(),
  userEnvironment: z.union([z.array(z.looseObject({})), z.record(z.string(), z.unknown())]).optional(),
});
export type VaultImportBody = z.input<typeof VaultImportBody>;

/** Names only: a file is told as its path, a variable as `$NAME`. */
export const VaultImported = z.object({
  revision: z.number(),
  added: z.array(z.string()),
  changed: z.array(z.string()),
  same: z.array(z.string()),
  removed: z.array(z.string()),
  refused: z.array(z.object({ entry: z.string(), why: z.string() })),
});
export type VaultImported = z.infer<typeof VaultImported>;

export const RotateQuery = z.strictObject({
  continue: z.string().max(200).optional().describe('as the answer before said; the beginning, without it'),
});
/** A part of all vaults was looked at; ask again with `continue` for the next one. */
export const VaultRotated = z.object({
  /** the key that everything is to be under */
  keyId: z.string(),
  users: z.object({ done: z.number(), left: z.number() }),
  entries: z.object({ resealed: z.number(), current: z.number(), changed: z.number(), unreadable: z.number() }),
  /** what stays as it is, and why; the first hundred */
  unreadable: z.array(z.object({ user: UserName, entry: z.string(), why: z.string() })),
  /** null = this was the last part */
  continue: z.string().nullable(),
});
export type VaultRotated = z.infer<typeof VaultRotated>;
