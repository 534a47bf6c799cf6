import { firstOf } from './human-count.ts';
import type { UserName } from './identity.ts';
import type { VaultFile } from './vault.ts';

/**
 * How the entries of a vault are named in Redis, and what is sealed of each: `f:<path>` holds a file as its mode, four octal
 * digits, and its content; `e:<NAME>` holds a variable as its value.
 */
export type Field = `f:${string}` | `e:${string}`;

/** What a field is to hold, not sealed yet. */
export type Put = readonly [field: Field, plain: Uint8Array];

const kindLength = 2;
/** So many bytes are sealed of a file beside its content. */
export const modeDigits = 4;

export function isField(field: string): field is Field {
  return field.startsWith('f:') || field.startsWith('e:');
}

export function isFile(field: Field): boolean {
  return field.startsWith('f:');
}

/** The path of a file, the name of a variable. */
export function nameOf(field: Field): string {
  return field.slice(kindLength);
}

/** For people: `the file .bashrc`, `the variable EDITOR`. */
export function wordsFor(field: Field): string {
  return `${isFile(field) ? 'the file' : 'the variable'} ${nameOf(field)}`;
}

/** For people: why the first of these cannot be read, and which others cannot; '' of none. */
export function unreadableWords(unreadable: readonly { readonly field: Field; readonly error: Error }[]): string {
  const [first, ...others] = unreadable;
  if (first === undefined) return '';
  if (others.length === 0) return first.error.message;
  const names = others.map(({ field }) => wordsFor(field));
  return `${first.error.message}; nor can ${firstOf(names, mostNamed)}`;
}

/** Entries that a sentence names. */
const mostNamed = 5;

/** Where a sealed text belongs: it says nothing under another name, or as another user's. */
export function boundOf(user: UserName, field: Field): string {
  return `${user}\n${field}`;
}

export function filePut({ path, mode, content }: VaultFile): Put {
  return [`f:${path}`, Buffer.concat([Buffer.from(mode.toString(8).padStart(modeDigits, '0')), content])];
}

export function variablePut(name: string, value: string): Put {
  return [`e:${name}`, Buffer.from(value)];
}

export function fileFrom(field: Field, plain: Buffer): VaultFile {
  const mode = Number.parseInt(plain.toString('latin1', 0, modeDigits), 8);
  return { path: nameOf(field), mode, content: plain.subarray(modeDigits) };
}
