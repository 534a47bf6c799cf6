/**
 * How Spoon's tables `userDotfiles` and `userEnvironment` are read when they are imported.
 *
 * TO BE CONFIRMED WITH SPOON: no schema of these tables was at hand. This table is the only place that knows their fields: the
 * first of the names that a row has is taken.
 */
const fieldsOf = {
  /** whose row it is */
  owner: ['username', 'userName', 'user', 'owner', 'ownerId', 'userId'],
  path: ['path', 'filePath', 'filename', 'fileName', 'name'],
  content: ['content', 'contents', 'body', 'value', 'text'],
  /** octal text, or permission bits as a number */
  mode: ['mode', 'permissions'],
  name: ['name', 'key', 'variable'],
  value: ['value', 'content'],
  /** Spoon's own ciphertext: only Spoon opens it */
  encrypted: ['encrypted', 'ciphertext', 'encryptedContent', 'encryptedValue', 'contentEncrypted', 'valueEncrypted'],
} as const;
/** Spoon may keep a path as the shell writes it. */
const homePrefix = /^(?:~\/|\$HOME\/|\.\/)/;

type Row = Readonly<Record<string, unknown>>;

export interface SpoonTables {
  readonly userDotfiles?: readonly Row[] | undefined;
  /** rows, or one record of names and values */
  readonly userEnvironment?: readonly Row[] | Row | undefined;
}

export interface SpoonEntries {
  readonly dotfiles: readonly { readonly path: string; readonly content: string; readonly mode: string | null }[];
  readonly variables: readonly { readonly name: string; readonly value: string }[];
  /** rows that say nothing that can be used: which, and why */
  readonly refused: readonly { readonly entry: string; readonly why: string }[];
}

/** Thrown where it is not clear whose rows are meant. */
export class SpoonExportError extends Error {
  override name = 'SpoonExportError';
}

/**
 * The rows of one user. `owner`: whose; null = where all rows are of one owner, that one's, and where some name `user`, those.
 * Rows that name nobody are everybody's.
 */
export function readSpoonTables(tables: SpoonTables, user: string, owner: string | null): SpoonEntries {
  const dotfileRows = tables.userDotfiles ?? [];
  const environment = tables.userEnvironment ?? [];
  const variableRows = isRows(environment)
    ? environment
    : Object.entries(environment).map(([name, value]): Row => ({ name, value }));
  const wanted = ownerOf([...dotfileRows, ...variableRows], user, owner);
  const isWanted = (row: Row): boolean => wanted === null || [undefined, wanted].includes(textOf(row, 'owner'));
  const refused: { entry: string; why: string }[] = [];
  const dotfiles = [...dotfileRows.entries()].flatMap(([index, row]) => {
    if (!isWanted(row)) return [];
    const path = textOf(row, 'path')?.replace(homePrefix, '');
    const content = textOf(row, 'content');
    if (path !== undefined && content !== undefined && !isEncrypted(row)) {
      return [{ path, content, mode: modeOf(row) }];
    }
    refused.push({ entry: path ?? `userDotfiles[${index}]`, why: whyNot(row, ['path', 'content']) });
    return [];
  });
  const variables = [...variableRows.entries()].flatMap(([index, row]) => {
    if (!isWanted(row)) return [];
    const name = textOf(row, 'name');
    const value = textOf(row, 'value');
    if (name !== undefined && value !== undefined && !isEncrypted(row)) return [{ name, value }];
    refused.push({
      entry: name === undefined ? `userEnvironment[${index}]` : `$${name}`,
      why: whyNot(row, ['name', 'value']),
    });
    return [];
  });
  return { dotfiles, variables, refused };
}

function ownerOf(rows: readonly Row[], user: string, given: string | null): string | null {
  const owners = new Set(rows.flatMap((row) => textOf(row, 'owner') ?? []));
  if (given !== null) {
    if (owners.has(given)) return given;
    throw new SpoonExportError(
      `no row is of ${given}: the rows are of ${[...owners].join(', ') || 'nobody that they name'}`,
    );
  }
  if (owners.has(user)) return user;
  if (owners.size <= 1) return null;
  throw new SpoonExportError(
    `the rows are of ${owners.size} users, and none is called ${user}: say whose are meant (owner)`,
  );
}

function textOf(row: Row, field: keyof typeof fieldsOf): string | undefined {
  const name = fieldsOf[field].find((each) => row[each] !== undefined && row[each] !== null);
  const value = name === undefined ? undefined : row[name];
  return typeof value === 'string' ? value : undefined;
}

/** A value that Spoon did not decrypt for its export. */
function isEncrypted(row: Row): boolean {
  return fieldsOf.encrypted.some((name) => row[name] !== undefined && row[name] !== null && row[name] !== false);
}

function modeOf(row: Row): string | null {
  const name = fieldsOf.mode.find((each) => row[each] !== undefined && row[each] !== null);
  const value = name === undefined ? null : row[name];
  if (typeof value === 'number') return value.toString(8).padStart(4, '0');
  return typeof value === 'string' ? value : null;
}

function whyNot(row: Row, needs: readonly (keyof typeof fieldsOf)[]): string {
  if (isEncrypted(row)) return 'it is encrypted by Spoon, whose key opens it: export it decrypted';
  const missing = needs.filter((field) => textOf(row, field) === undefined);
  return `it has no ${missing.map((field) => `${field} (${fieldsOf[field].join(', ')})`).join(' and no ')}`;
}

function isRows(environment: readonly Row[] | Row): environment is readonly Row[] {
  return Array.isArray(environment);
}
