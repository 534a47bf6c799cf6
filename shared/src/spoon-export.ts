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

/** An export may be of all users of Spoon. */
const ownersNamed = 5;

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
 * Rows that name nobody are taken where no two owners are named: else nobody knows whose they are.
 */
export function readSpoonTables(tables: SpoonTables, user: string, owner: string | null): SpoonEntries {
  const dotfileRows = tables.userDotfiles ?? [];
  const environment = tables.userEnvironment ?? [];
  const variableRows = isRows(environment)
    ? environment
    : Object.entries(environment).map(([name, value]): Row => ({ name, value }));
  const owners = new Set([...dotfileRows, ...variableRows].flatMap((row) => ownerOf(row) ?? []));
  const wanted = ownerAmong(owners, user, owner);
  const isOther = (row: Row): boolean => wanted !== null && ownerOf(row) !== undefined && ownerOf(row) !== wanted;
  const whyNot = (row: Row, needs: readonly Field[]): string | null =>
    owners.size > 1 && ownerOf(row) === undefined ? 'it does not say whose it is' : whyUnusable(row, needs);
  const refused: { entry: string; why: string }[] = [];
  const dotfiles = [...dotfileRows.entries()].flatMap(([index, row]) => {
    if (isOther(row)) return [];
    const path = textOf(row, 'path')?.replace(homePrefix, '');
    const content = textOf(row, 'content');
    const why = whyNot(row, ['path', 'content']);
    if (path !== undefined && content !== undefined && why === null) return [{ path, content, mode: modeOf(row) }];
    refused.push({ entry: path ?? `userDotfiles[${index}]`, why: why ?? '' });
    return [];
  });
  const variables = [...variableRows.entries()].flatMap(([index, row]) => {
    if (isOther(row)) return [];
    const name = textOf(row, 'name');
    const value = textOf(row, 'value');
    const why = whyNot(row, ['name', 'value']);
    if (name !== undefined && value !== undefined && why === null) return [{ name, value }];
    refused.push({ entry: name === undefined ? `userEnvironment[${index}]` : `$${name}`, why: why ?? '' });
    return [];
  });
  return { dotfiles, variables, refused };
}

function ownerAmong(owners: ReadonlySet<string>, user: string, given: string | null): string | null {
  if (given !== null) {
    if (owners.has(given)) return given;
    const named = [...owners].slice(0, ownersNamed).join(', ') + (owners.size > ownersNamed ? ', …' : '');
    throw new SpoonExportError(`no row is of ${given}: the rows are of ${named || 'nobody that they name'}`);
  }
  if (owners.has(user)) return user;
  if (owners.size <= 1) return null;
  throw new SpoonExportError(
    `the rows are of ${owners.size} users, and none is called ${user}: say whose are meant (owner)`,
  );
}

type Field = keyof typeof fieldsOf;

function fieldOf(row: Row, field: Field): unknown {
  const name = fieldsOf[field].find((each) => row[each] !== undefined && row[each] !== null);
  return name === undefined ? undefined : row[name];
}

function textOf(row: Row, field: Field): string | undefined {
  const value = fieldOf(row, field);
  return typeof value === 'string' ? value : undefined;
}

/** Whatever it is: a row whose owner was overlooked would be anybody's. */
function ownerOf(row: Row): string | undefined {
  const value = fieldOf(row, 'owner');
  return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
}

/** A value that Spoon did not decrypt for its export. Databases say "no" in several ways. */
function isEncrypted(row: Row): boolean {
  return fieldsOf.encrypted.some((name) => Boolean(row[name]));
}

function modeOf(row: Row): string | null {
  const value = fieldOf(row, 'mode');
  if (typeof value === 'number') return value.toString(8).padStart(4, '0');
  return typeof value === 'string' ? value : null;
}

/** null: it is as it should be. */
function whyUnusable(row: Row, needs: readonly Field[]): string | null {
  if (isEncrypted(row)) return 'it is encrypted by Spoon, whose key opens it: export it decrypted';
  const missing = needs.filter((field) => textOf(row, field) === undefined);
  if (missing.length === 0) return null;
  return `it has no ${missing.map((field) => `${field} (${fieldsOf[field].join(', ')})`).join(' and no ')}`;
}

function isRows(environment: readonly Row[] | Row): environment is readonly Row[] {
  return Array.isArray(environment);
}
