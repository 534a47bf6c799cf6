import { z } from 'zod';
import { fromJson, userScriptKeys } from './box-store.ts';
import type { Keys, UserName } from './identity.ts';
import type { RedisPort } from './redis-port.ts';
import { keyIdOf, noVaultKey, sealFrame, type VaultKeys, VaultSealError } from './vault-seal.ts';
import { maxFiles, maxVariables, maxVaultBytes, type Vault, type VaultFile } from './vault.ts';

/** Of which revision a vault has to be for a change: one of these (0 = there is none), or '*' = whatever there is; null = any. */
export type IfRevision = readonly number[] | '*' | null;

export interface VaultWriter {
  /** who changes it, for events */
  readonly by: string;
  readonly ifRevision?: IfRevision;
}

/** What is put and removed in one step. */
export interface VaultChange {
  readonly files: readonly VaultFile[];
  readonly environment: Readonly<Record<string, string>>;
  /** true: what is not put is removed */
  readonly replaces: boolean;
}

export type VaultRefusal =
  | 'precondition-failed' // detail: the revision as it is
  | 'entry-unknown' // detail: its field
  | 'vault-full' // detail: files, variables or bytes
  | 'path-conflict' // detail: the file where another one needs a directory
  | 'name-differs-by-case'; // detail: the name as it is known

/** `revision`: from now on; 0 = nothing is left. */
export type VaultWritten =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly refused: VaultRefusal; readonly detail: string };

/** What is known of an entry without its value. `keyId`: under which key it is sealed; '' = it is damaged. */
export interface VaultEntry {
  readonly keyId: string;
  /** it can be opened here */
  readonly opens: boolean;
  /** of the value; null where it cannot be opened */
  readonly bytes: number | null;
}
export interface VaultListing {
  readonly revision: number;
  /** by path */
  readonly files: readonly (VaultEntry & { readonly path: string; readonly mode: number | null })[];
  /** by name */
  readonly variables: readonly (VaultEntry & { readonly name: string })[];
}

export interface VaultRotation {
  /** sealed anew, under the current key */
  readonly resealed: number;
  /** under the current key already */
  readonly current: number;
  /** changed by somebody else meanwhile, and so under the current key, if that one has it too */
  readonly changed: number;
  /** left as they are: which, and why */
  readonly unreadable: readonly { readonly entry: string; readonly why: string }[];
}

/**
 * The vaults of all users, as Redis keeps them: names in the clear, modes and values sealed. Losing one loses what is in it, and
 * nothing else; a box goes on without. Every write is one script, tells an event that names what was changed, and wakes the
 * reconciler. All methods reject when Redis does not answer; those that need a value, or seal one, throw a `VaultSealError` where
 * that cannot be done, which names the entry.
 */
export interface VaultStore {
  read(user: UserName): Promise<Vault>;
  /** 0 = there is none. Needs no key. */
  revision(user: UserName): Promise<number>;
  /** Needs no key where there are no variables; never reads files. */
  environment(user: UserName): Promise<Record<string, string>>;
  /** null: there is no such file. */
  file(user: UserName, path: string): Promise<{ revision: number; file: VaultFile } | null>;
  /** null: there is no such variable. */
  variable(user: UserName, name: string): Promise<{ revision: number; value: string } | null>;
  /** Needs no key: what cannot be opened is told as such. */
  list(user: UserName): Promise<VaultListing>;
  putFile(user: UserName, file: VaultFile, how: VaultWriter): Promise<VaultWritten>;
  removeFile(user: UserName, path: string, how: VaultWriter): Promise<VaultWritten>;
  putVariable(user: UserName, name: string, value: string, how: VaultWriter): Promise<VaultWritten>;
  removeVariable(user: UserName, name: string, how: VaultWriter): Promise<VaultWritten>;
  put(user: UserName, change: VaultChange, how: VaultWriter): Promise<VaultWritten>;
  /**
   * Seals anew what is not under the current key. Entry by entry, so that it can be interrupted and begun again, and what
   * somebody puts meanwhile stays. The revision stays: what the vault holds does not change.
   */
  rotate(user: UserName): Promise<VaultRotation>;
}

/** `seal`: null where no key is configured. */
export function createVaultStore(options: { redis: RedisPort; keys: Keys; seal: VaultKeys | null }): VaultStore {
  const { redis, keys, seal } = options;

  async function stored(user: UserName, what: 'all' | 'variables' | 'none' | Field): Promise<Stored> {
    const args = what === 'all' || what === 'variables' || what === 'none' ? [what] : ['one', what];
    const [revision, ...flat] = ReadReply.parse(await redis.run('read-vault', [keys.user(user).vault], args));
    const entries: [Field, string][] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) {
      const field = flat[i] ?? '';
      if (isField(field)) entries.push([field, flat[i + 1] ?? '']);
    }
    return { revision: Number(revision), entries: entries.toSorted(([a], [b]) => (a < b ? -1 : 1)) };
  }

  function open(user: UserName, [field, sealed]: readonly [Field, string]): Buffer {
    try {
      if (seal === null) throw noVaultKey();
      return seal.open(sealed, boundOf(user, field));
    } catch (error) {
      if (!(error instanceof VaultSealError)) throw error;
      throw new VaultSealError(
        error.problem,
        `${wordsFor(field)} of ${user} cannot be read: ${error.message}`,
        error.keyId,
      );
    }
  }

  function fileOf(user: UserName, entry: readonly [Field, string]): VaultFile {
    const plain = open(user, entry);
    const mode = Number.parseInt(plain.toString('latin1', 0, modeDigits), 8);
    return { path: entry[0].slice(kindLength), mode, content: plain.subarray(modeDigits) };
  }

  function variableOf(user: UserName, entry: readonly [Field, string]): [name: string, value: string] {
    return [entry[0].slice(kindLength), open(user, entry).toString('utf8')];
  }

  async function write(
    user: UserName,
    { by, ifRevision = null }: VaultWriter,
    change: { told: string; puts?: readonly [Field, Uint8Array][]; removes?: readonly Field[]; replaces?: boolean },
  ): Promise<VaultWritten> {
    const { told, puts = [], removes = [], replaces = false } = change;
    const wanted = ifRevision === null || ifRevision === '*' ? (ifRevision ?? '') : JSON.stringify(ifRevision);
    const pairs = puts.flatMap(([field, plain]) => {
      if (seal === null) throw noVaultKey();
      return [field, seal.seal(plain, boundOf(user, field))];
    });
    const args = [by, told, wanted, replaces ? '1' : '0', limits, JSON.stringify(removes), ...pairs];
    const channels = [keys.wakeChannel, keys.statusChannel];
    const reply = await redis.run('write-vault', userScriptKeys(keys, user), [user, ...channels, ...args]);
    const parsed = WriteReply.parse(fromJson(reply));
    return 'refused' in parsed ? { ok: false, ...parsed } : { ok: true, revision: parsed.revision };
  }

  return {
    async read(user) {
      const { revision, entries } = await stored(user, 'all');
      const files = entries.filter(([field]) => isFile(field)).map((entry) => fileOf(user, entry));
      const variables = entries.filter(([field]) => !isFile(field)).map((entry) => variableOf(user, entry));
      return { revision, files, environment: Object.fromEntries(variables) };
    },
    async revision(user) {
      return (await stored(user, 'none')).revision;
    },
    async environment(user) {
      const { entries } = await stored(user, 'variables');
      return Object.fromEntries(entries.map((entry) => variableOf(user, entry)));
    },
    async file(user, path) {
      const { revision, entries } = await stored(user, `f:${path}`);
      return entries[0] === undefined ? null : { revision, file: fileOf(user, entries[0]) };
    },
    async variable(user, name) {
      const { revision, entries } = await stored(user, `e:${name}`);
      return entries[0] === undefined ? null : { revision, value: variableOf(user, entries[0])[1] };
    },
    async list(user) {
      const { revision, entries } = await stored(user, 'all');
      const files: VaultListing['files'][number][] = [];
      const variables: VaultListing['variables'][number][] = [];
      for (const entry of entries) {
        const [field, sealed] = entry;
        const known = { keyId: keyIdOf(sealed) ?? '' };
        const name = field.slice(kindLength);
        try {
          if (isFile(field)) {
            const { mode, content } = fileOf(user, entry);
            files.push({ path: name, mode, bytes: content.length, opens: true, ...known });
          } else {
            variables.push({ name, bytes: open(user, entry).length, opens: true, ...known });
          }
        } catch (error) {
          if (!(error instanceof VaultSealError)) throw error;
          if (isFile(field)) files.push({ path: name, mode: null, bytes: null, opens: false, ...known });
          else variables.push({ name, bytes: null, opens: false, ...known });
        }
      }
      return { revision, files, variables };
    },
    putFile: (user, file, how) => write(user, how, { told: `${file.path} was put`, puts: [filePut(file)] }),
    removeFile: (user, path, how) => write(user, how, { told: `${path} was removed`, removes: [`f:${path}`] }),
    putVariable(user, name, value, how) {
      return write(user, how, { told: `the variable ${name} was put`, puts: [[`e:${name}`, Buffer.from(value)]] });
    },
    removeVariable: (user, name, how) =>
      write(user, how, { told: `the variable ${name} was removed`, removes: [`e:${name}`] }),
    put(user, { files, environment, replaces }, how) {
      const variables = Object.entries(environment).map(([name, value]): [Field, Uint8Array] => [
        `e:${name}`,
        Buffer.from(value),
      ]);
      const told = `${files.length} files and ${variables.length} variables were put${replaces ? ' in the place of all that was there' : ''}`;
      return write(user, how, { told, puts: [...files.map(filePut), ...variables], replaces });
    },
    async rotate(user) {
      if (seal === null) throw noVaultKey();
      const { entries } = await stored(user, 'all');
      const vault = keys.user(user).vault;
      const unreadable: { entry: string; why: string }[] = [];
      const count = { resealed: 0, current: 0, changed: 0 };
      for (const entry of entries) {
        const [field, sealed] = entry;
        if (keyIdOf(sealed) === seal.keyId) {
          count.current += 1;
          continue;
        }
        try {
          const anew = seal.seal(open(user, entry), boundOf(user, field));
          const isDone = (await redis.run('reseal-vault', [vault], [field, sealed, anew])) === 1;
          count[isDone ? 'resealed' : 'changed'] += 1;
        } catch (error) {
          if (!(error instanceof VaultSealError)) throw error;
          unreadable.push({ entry: wordsFor(field), why: error.message });
        }
      }
      return { ...count, unreadable };
    },
  };
}

/** `f:` and the path of a file, `e:` and the name of a variable. */
type Field = `f:${string}` | `e:${string}`;
const kindLength = 2;

interface Stored {
  readonly revision: number;
  /** by field */
  readonly entries: readonly (readonly [Field, string])[];
}

function isField(field: string): field is Field {
  return field.startsWith('f:') || field.startsWith('e:');
}

function isFile(field: Field): boolean {
  return field.startsWith('f:');
}

/** So that a sealed text says nothing under another name, or as another user's. */
function boundOf(user: UserName, field: Field): string {
  return `${user}\n${field}`;
}

/** A file is sealed as its mode, four octal digits, and its content; a variable as its value. */
const modeDigits = 4;

function filePut({ path, mode, content }: VaultFile): [Field, Uint8Array] {
  return [`f:${path}`, Buffer.concat([Buffer.from(mode.toString(8).padStart(modeDigits, '0')), content])];
}

function wordsFor(field: Field): string {
  return `${isFile(field) ? 'the file' : 'the variable'} ${field.slice(kindLength)}`;
}

/** With the modes of files. */
const limits = JSON.stringify({
  files: maxFiles,
  variables: maxVariables,
  bytes: maxVaultBytes + maxFiles * modeDigits,
  frame: sealFrame.characters,
  extra: sealFrame.bytes,
});

const ReadReply = z.tuple([z.string().regex(/^\d{1,16}$/)], z.string());
const WriteReply = z.union([
  z.object({ revision: z.number() }),
  z.object({
    refused: z.enum(['precondition-failed', 'entry-unknown', 'vault-full', 'path-conflict', 'name-differs-by-case']),
    detail: z.string(),
  }),
]);
