import { z } from 'zod';

/**
 * A user's vault: dotfiles, and the environment of everything that is started in the box. What it may hold, and how much; how it
 * is kept is in `vault-seal.ts` and `vault-store.ts`.
 */

export const maxFileBytes = 256 * 1024;
export const maxVariableBytes = 32 * 1024;
/** All files and variables together. */
export const maxVaultBytes = 2 * 1024 * 1024;
export const maxFiles = 200;
export const maxVariables = 200;
/** In bytes: what file systems take as one name. */
const maxPathBytes = 255;
const maxNameLength = 255;

/** Where a home remembers what was written into it: of an archive of a home it would be a dotfile. */
const homeRecords = '.local/state/spoonbox';

/** Where a file goes, below the home: `.bashrc`, `.config/git/config`. */
export const VaultPath = z
  .string()
  .min(1, { error: 'is not empty' })
  .refine((path) => path.isWellFormed() && bytesIn(path) <= maxPathBytes, {
    error: `is at most ${maxPathBytes} bytes of UTF-8`,
  })
  .refine((path) => !path.startsWith('/') && !path.startsWith('~'), { error: 'is relative to the home' })
  .refine((path) => !path.split('/').some((segment) => ['', '.', '..'].includes(segment)), {
    error: 'has no "..", no "." and no empty part between its slashes',
  })
  .regex(/^\P{Cc}*$/u, { error: 'has no control characters' })
  .refine((path) => !`${path}/`.startsWith(`${homeRecords}/`), {
    error: `is not in ${homeRecords}, which is Spoonbox's own`,
  });

/** They are the box's own: who the user is, and what a gateway tells a shell. The last is no name that a record can have. */
const reservedNames = new Set(['HOME', 'USER', 'LOGNAME', '__proto__']);

export const VariableName = z
  .string()
  .max(maxNameLength)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'is A-Z a-z 0-9 _ and begins with no digit' })
  .refine((name) => !reservedNames.has(name) && !name.startsWith('SPOONBOX_'), {
    error: 'is set by the box itself (HOME, USER, LOGNAME, SPOONBOX_…)',
  });

export const VariableValue = z
  .string()
  .refine((value) => value.isWellFormed() && !value.includes('\0'), { error: 'is text without NUL' })
  .refine((value) => bytesIn(value) <= maxVariableBytes, { error: `is at most ${maxVariableBytes} bytes` });

/** Permission bits of a file: no set-user-id, no sticky bit. */
export const maxFileMode = 0o777;
export const defaultFileMode = 0o644;

export interface VaultFile {
  /** a `VaultPath` */
  readonly path: string;
  /** permission bits, 0 to 0o777 */
  readonly mode: number;
  readonly content: Buffer;
}

export interface Vault {
  /** grows with every change of what the vault holds; 0 = there is none */
  readonly revision: number;
  /** by path */
  readonly files: readonly VaultFile[];
  readonly environment: Readonly<Record<string, string>>;
}

/** As UTF-8. Browsers read these schemas too. */
function bytesIn(text: string): number {
  return new TextEncoder().encode(text).length;
}
