import { type RefusedEntry, tooLarge } from '#shared/vault-import.ts';
import { maxFileBytes, maxVaultBytes, type VaultFile, VaultPath } from '#shared/vault.ts';
import { CliError } from '../command.ts';

/** What was found where an import comes from: files by their place below the home, and what can be none of them. */
export interface FoundFiles {
  readonly files: readonly VaultFile[];
  readonly refused: readonly RefusedEntry[];
}

/** A source with more entries than this is no home: whoever meant a part of it names it with --from. */
export const maxEntries = 20_000;

/** The place below the home of what lies at `path` in the source; null: it is not below `from`. */
export function placeBelow(path: string, from: string | null): string | null {
  const plain = path.replace(/^(?:\.\/)+/, '');
  if (from === null) return plain;
  const folder = `${from.replace(/\/+$/, '')}/`;
  return plain.startsWith(folder) ? plain.slice(folder.length) : null;
}

/** Why it cannot be in a vault; null: it can. */
export function whyNot(place: string, bytes: number): string | null {
  const parsed = VaultPath.safeParse(place);
  if (!parsed.success) return `its path ${parsed.error.issues.map(({ message }) => message).join('; ')}`;
  return bytes > maxFileBytes ? tooLarge(bytes) : null;
}

/** Throws where it is more than any vault holds. */
export function checkSize({ files }: FoundFiles): void {
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  if (bytes <= maxVaultBytes) return;
  throw new CliError(
    `the import has ${files.length} files of ${bytes} bytes in all, and a vault holds ${maxVaultBytes}: name a part of it with --from`,
  );
}
