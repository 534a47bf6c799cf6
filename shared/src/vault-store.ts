import { z } from 'zod';
import { fromJson, userScriptKeys } from './box-store.ts';
import { humanCount } from './human-count.ts';
import type { Keys, UserName } from './identity.ts';
import type { RedisPort } from './redis-port.ts';
import {
  boundOf,
  type Field,
  fileFrom,
  filePut,
  isField,
  isFile,
  modeDigits,
  nameOf,
  type Put,
  variablePut,
  wordsFor,
} from './vault-field.ts';
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

/** Of an import: fields (`f:<path>`, `e:<NAME>`) that were not there, held something else, held the same, or are not there any more. */
export interface VaultDifference {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly same: readonly string[];
  readonly removed: readonly string[];
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
export type VaultImported =
  | ({ readonly ok: true; readonly revision: number } & VaultDifference)
  | { readonly ok: false; readonly refused: VaultRefusal; readonly detail: string };

/** What is known of an entry without its value. `keyId`: under which key it is sealed; '' = it is damaged. */
export interface VaultEntry {
  readonly keyId: string;
  /** it can be opened here */
  readonly opens: boolean;
  /** of the value; null where it cannot be opened */
  readonly bytes: number | null;
}
/** An entry that cannot be opened here; the error says which, whose, and why. */
export interface UnreadableEntry {
  readonly field: Field;
  readonly error: VaultSealError;
}
/** Of a vault what can be opened here, and what cannot. */
export interface ReadableVault extends Vault {
  readonly unreadable: readonly UnreadableEntry[];
}
export interface VaultEnvironment {
  readonly variables: Readonly<Record<string, string>>;
  readonly unreadable: readonly UnreadableEntry[];
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
  /** of the key that seals; null: there is none */
  readonly keyId: string | null;
  /** of all keys that open */
  readonly keyIds: readonly string[];
  read(user: UserName): Promise<Vault>;
  /** As `read`, for whoever can go on without one entry: what cannot be opened is left out, and told. */
  readable(user: UserName): Promise<ReadableVault>;
  /** 0 = there is none. Needs no key. */
  revision(user: UserName): Promise<number>;
  /** The variables alone, as `readable`; never reads files. */
  environment(user: UserName): Promise<VaultEnvironment>;
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
  /** In one step. What changes nothing is not written; `dryRun`: nothing is, it is only told. */
  put(user: UserName, change: VaultChange, how: VaultWriter & { readonly dryRun?: boolean }): Promise<VaultImported>;
  /** How many entries are sealed under which key, by its id; '' for what is no sealed text. Needs no key, and reads no value. */
  sealedUnder(user: UserName): Promise<ReadonlyMap<string, number>>;
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

  /** With the error where it cannot be opened. */
  function opened(user: UserName, entry: readonly [Field, string]): Buffer | VaultSealError {
    try {
      return open(user, entry);
    } catch (error) {
      if (error instanceof VaultSealError) return error;
      throw error;
    }
  }

  function sorted(user: UserName, { revision, entries }: Stored): ReadableVault {
    const files: VaultFile[] = [];
    const variables: [name: string, value: string][] = [];
    const unreadable: UnreadableEntry[] = [];
    for (const entry of entries) {
      const [field] = entry;
      const plain = opened(user, entry);
      if (plain instanceof VaultSealError) unreadable.push({ field, error: plain });
      else if (isFile(field)) files.push(fileFrom(field, plain));
      else variables.push([nameOf(field), plain.toString('utf8')]);
    }
    return { revision, files, environment: Object.fromEntries(variables), unreadable };
  }

  const readable = async (user: UserName): Promise<ReadableVault> => sorted(user, await stored(user, 'all'));

  async function write(
    user: UserName,
    { by, ifRevision = null }: VaultWriter,
    change: { told: string; puts?: readonly Put[]; removes?: readonly Field[]; dryRun?: boolean },
  ): Promise<VaultWritten> {
    const { told, puts = [], removes = [], dryRun = false } = change;
    const wanted = ifRevision === null || ifRevision === '*' ? (ifRevision ?? '') : JSON.stringify(ifRevision);
    const pairs = puts.flatMap(([field, plain]) => {
      if (seal === null) throw noVaultKey();
      return [field, seal.seal(plain, boundOf(user, field))];
    });
    const args = [by, told, wanted, dryRun ? '1' : '0', limits, JSON.stringify(removes), ...pairs];
    const channels = [keys.wakeChannel, keys.statusChannel];
    const reply = await redis.run('write-vault', userScriptKeys(keys, user), [user, ...channels, ...args]);
    const parsed = WriteReply.parse(fromJson(reply));
    return 'refused' in parsed ? { ok: false, ...parsed } : { ok: true, revision: parsed.revision };
  }

  async function sealedUnder(user: UserName): Promise<ReadonlyMap<string, number>> {
    const flat = z.array(z.string()).parse(await redis.run('count-vault-keys', [keys.user(user).vault], []));
    const counts = new Map<string, number>();
    for (let i = 0; i + 1 < flat.length; i += 2) counts.set(flat[i] ?? '', Number(flat[i + 1]));
    return counts;
  }

  /** What a change of these would do, and to which revision. What cannot be opened is other than what is put. */
  async function compared(user: UserName, puts: readonly Put[], replaces: boolean) {
    const { revision, entries } = await stored(user, 'all');
    const before = new Map(entries);
    const added: Field[] = [];
    const changed: Field[] = [];
    const same: Field[] = [];
    for (const [field, plain] of puts) {
      const sealed = before.get(field);
      if (sealed === undefined) added.push(field);
      else if (isSame(opened(user, [field, sealed]), plain)) same.push(field);
      else changed.push(field);
    }
    const put = new Set(puts.map(([field]) => field));
    const removed = replaces ? [...before.keys()].filter((field) => !put.has(field)) : [];
    return { revision, added, changed, same, removed };
  }

  return {
    keyId: seal?.keyId ?? null,
    keyIds: seal?.keyIds ?? [],
    async read(user) {
      const { unreadable, ...vault } = await readable(user);
      for (const { error } of unreadable) throw error;
      return vault;
    },
    readable,
    async revision(user) {
      return (await stored(user, 'none')).revision;
    },
    async environment(user) {
      const { environment: variables, unreadable } = sorted(user, await stored(user, 'variables'));
      return { variables, unreadable };
    },
    async file(user, path) {
      const { revision, entries } = await stored(user, `f:${path}`);
      const [entry] = entries;
      return entry === undefined ? null : { revision, file: fileFrom(entry[0], open(user, entry)) };
    },
    async variable(user, name) {
      const { revision, entries } = await stored(user, `e:${name}`);
      const [entry] = entries;
      return entry === undefined ? null : { revision, value: open(user, entry).toString('utf8') };
    },
    async list(user) {
      const { revision, entries } = await stored(user, 'all');
      const files: VaultListing['files'][number][] = [];
      const variables: VaultListing['variables'][number][] = [];
      for (const entry of entries) {
        const [field, sealed] = entry;
        const bytes = opened(user, entry);
        const plain = bytes instanceof VaultSealError ? null : bytes;
        const name = nameOf(field);
        const known = { keyId: keyIdOf(sealed) ?? '', opens: plain !== null };
        if (isFile(field)) {
          const file = plain === null ? null : fileFrom(field, plain);
          files.push({ path: name, mode: file?.mode ?? null, bytes: file?.content.length ?? null, ...known });
        } else {
          variables.push({ name, bytes: plain?.length ?? null, ...known });
        }
      }
      return { revision, files, variables };
    },
    putFile: (user, file, how) => write(user, how, { told: `${file.path} was put`, puts: [filePut(file)] }),
    removeFile: (user, path, how) => write(user, how, { told: `${path} was removed`, removes: [`f:${path}`] }),
    putVariable(user, name, value, how) {
      return write(user, how, { told: `the variable ${name} was put`, puts: [variablePut(name, value)] });
    },
    removeVariable: (user, name, how) =>
      write(user, how, { told: `the variable ${name} was removed`, removes: [`e:${name}`] }),
    async put(user, { files, environment, replaces }, { dryRun = false, ...how }) {
      const variables = Object.entries(environment).map(([name, value]) => variablePut(name, value));
      const puts = [...files.map(filePut), ...variables];
      const { ifRevision = null, ...writer } = how;
      for (let tries = 1; ; tries += 1) {
        const { revision, ...difference } = await compared(user, puts, replaces);
        if (!meets(ifRevision, revision)) {
          return { ok: false, refused: 'precondition-failed', detail: String(revision) };
        }
        const { added, changed, removed } = difference;
        const told = `an import: ${humanCount(added.length, 'entry', 'entries')} added, ${changed.length} changed, ${removed.length} removed`;
        const news = new Set<string>([...added, ...changed]);
        const written = await write(
          user,
          // What was compared is what is changed.
          { ...writer, ifRevision: [revision] },
          {
            told,
            puts: puts.filter(([field]) => news.has(field)),
            removes: removed,
            dryRun: dryRun || news.size + removed.length === 0,
          },
        );
        if (written.ok) return { ...written, ...difference };
        if (written.refused !== 'precondition-failed' || tries === mostTries) return written;
      }
    },
    sealedUnder,
    async rotate(user) {
      if (seal === null) throw noVaultKey();
      const unreadable: { entry: string; why: string }[] = [];
      const count = { resealed: 0, current: 0, changed: 0 };
      // Of nearly all users, once it was done: not worth reading their vaults.
      const under = await sealedUnder(user);
      const current = under.get(seal.keyId) ?? 0;
      if (under.size === (current > 0 ? 1 : 0)) return { ...count, current, unreadable };
      const { entries } = await stored(user, 'all');
      const vault = keys.user(user).vault;
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

function isSame(opened: Buffer | VaultSealError, plain: Uint8Array): boolean {
  return !(opened instanceof VaultSealError) && opened.equals(plain);
}

function meets(wanted: IfRevision, revision: number): boolean {
  return wanted === null || (wanted === '*' ? revision > 0 : wanted.includes(revision));
}

/** An import begins anew so often when somebody else is quicker. */
const mostTries = 5;

interface Stored {
  readonly revision: number;
  /** by field */
  readonly entries: readonly (readonly [Field, string])[];
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
