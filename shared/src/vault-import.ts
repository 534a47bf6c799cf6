import type { z } from 'zod';
import { readSpoonTables } from './spoon-export.ts';
import type { VaultImportBody } from './vault-schemas.ts';
import type { VaultChange } from './vault-store.ts';
import {
  defaultFileMode,
  maxFileBytes,
  maxFileMode,
  VariableName,
  VariableValue,
  type VaultFile,
  VaultPath,
} from './vault.ts';

export interface RefusedEntry {
  /** the path of a file, `$NAME` of a variable */
  readonly entry: string;
  readonly why: string;
}

export interface VaultImport {
  readonly change: VaultChange;
  readonly refused: readonly RefusedEntry[];
}

/**
 * What an import puts, and what of it is refused. Of two entries with one name the later counts. Throws a `SpoonExportError` where
 * Spoon's tables are of several users and it is not said whose are meant.
 */
export function readImport(body: z.output<typeof VaultImportBody>, user: string): VaultImport {
  const refused: RefusedEntry[] = [];
  const files = new Map<string, VaultFile>();
  const environment = new Map<string, string>();

  function putFile(path: string, content: Buffer | null, mode: string | null): void {
    const why = whyNoFile(path, content, mode);
    if (why === null && content !== null) files.set(path, { path, content, mode: modeOf(mode) ?? defaultFileMode });
    else refused.push({ entry: path, why: why ?? '' });
  }

  function putVariable(name: string, value: string): void {
    const why = problemOf('name', VariableName.safeParse(name)) ?? problemOf('value', VariableValue.safeParse(value));
    if (why === null) environment.set(name, value);
    else refused.push({ entry: `$${name}`, why });
  }

  if (body.userDotfiles !== undefined || body.userEnvironment !== undefined) {
    const spoon = readSpoonTables(body, user, body.owner ?? null);
    refused.push(...spoon.refused);
    for (const { path, content, mode } of spoon.dotfiles) putFile(path, Buffer.from(content), mode);
    for (const { name, value } of spoon.variables) putVariable(name, value);
  }
  for (const { path, content, encoding, mode } of body.dotfiles) putFile(path, bytesOf(content, encoding), mode);
  for (const [name, value] of Object.entries(body.environment)) putVariable(name, value);
  return {
    change: { files: [...files.values()], environment: Object.fromEntries(environment), replaces: body.replace },
    refused,
  };
}

/** null: it is no base64. */
export function bytesOf(content: string, encoding: 'utf8' | 'base64'): Buffer | null {
  if (encoding === 'utf8') return Buffer.from(content);
  const bytes = Buffer.from(content, 'base64');
  const isWhole = bytes.toString('base64').replace(/=+$/, '') === content.replace(/=+$/, '');
  return isWhole ? bytes : null;
}

/** `0644` → its bits; null: it is none. */
export function modeOf(text: string | null): number | null {
  const mode = text !== null && /^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : null;
  return mode === null || mode > maxFileMode ? null : mode;
}

function whyNoFile(path: string, content: Buffer | null, mode: string | null): string | null {
  if (content === null) return 'its content is no base64';
  if (content.length > maxFileBytes) return tooLarge(content.length);
  if (mode !== null && modeOf(mode) === null) return `its mode ${mode} is not one of 0000 to 0777`;
  return problemOf('path', VaultPath.safeParse(path));
}

export function tooLarge(bytes: number): string {
  return `it has ${bytes} bytes, and a file may have ${maxFileBytes}`;
}

function problemOf(what: string, parsed: z.ZodSafeParseResult<unknown>): string | null {
  return parsed.success ? null : `its ${what} ${parsed.error.issues.map(({ message }) => message).join('; ')}`;
}
