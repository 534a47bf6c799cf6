import { describe, expect, test } from 'vitest';
import { UserName } from '#shared/identity.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { createVaultKeys, keyIdOf, type VaultKeys, VaultSealError } from '#shared/vault-seal.ts';
import { createVaultStore, type VaultChange, type VaultStore, type VaultWritten } from '#shared/vault-store.ts';
import { maxFileBytes, maxFiles, maxVariables, maxVaultBytes, type VaultFile } from '#shared/vault.ts';
import { nothing, pairs, type World } from './box-store-world.ts';

const seal = createVaultKeys({ current: 'the key of today', previous: ['the key of yesterday'] });
const before = createVaultKeys({ current: 'the key of yesterday', previous: [] });
const stranger = createVaultKeys({ current: 'the key of somebody else', previous: [] });
const how = { by: 'ops' };
const aliasLine = 'alias ll="ls -l"\n';

function file(path: string, content: string | Buffer = aliasLine, mode = 0o644): VaultFile {
  return { path, mode, content: Buffer.from(content) };
}

function changeOf(files: readonly VaultFile[], replaces = false): VaultChange {
  return { files, environment: {}, replaces };
}

function revisionOf(written: VaultWritten): number {
  if (!written.ok) throw new Error(`the write was refused: ${written.refused} ${written.detail}`);
  return written.revision;
}

async function sealProblem(reading: Promise<unknown>): Promise<VaultSealError> {
  const error = await reading.catch((reason: unknown) => reason);
  if (error instanceof VaultSealError) return error;
  throw new Error(`it did not fail as one that cannot be opened: ${String(error)}`);
}

/** What a user's vault promises. */
export function vaultContract(world: () => World): void {
  const vaults = (keys: VaultKeys | null = seal, redis: RedisPort = world().redis): VaultStore =>
    createVaultStore({ redis, keys: world().keys, seal: keys });

  describe('a vault', () => {
    test('gives back what was put, modes and bytes and all, and nothing where there is none', async () => {
      const { user } = world();
      const store = vaults();
      expect(await store.read(user)).toEqual({ revision: 0, files: [], environment: {} });
      expect((await store.environment(user)).variables).toEqual({});
      expect(await store.file(user, '.bashrc')).toBeNull();
      const bytes = Buffer.from([0, 255, 10, 13, 128]);
      await store.putFile(user, file('.ssh/config', bytes, 0o600), how);
      await store.putFile(user, file('.bashrc'), how);
      await store.putVariable(user, 'EDITOR', 'vim é\u{1f600}\n', how);
      const revision = revisionOf(await store.putVariable(user, 'constructor', '', how));
      expect(await store.read(user)).toEqual({
        revision,
        files: [file('.bashrc'), file('.ssh/config', bytes, 0o600)],
        environment: { EDITOR: 'vim é\u{1f600}\n', constructor: '' },
      });
      expect((await store.environment(user)).variables).toEqual({ EDITOR: 'vim é\u{1f600}\n', constructor: '' });
      expect(await store.file(user, '.bashrc')).toEqual({ revision, file: file('.bashrc') });
      expect(await store.variable(user, 'EDITOR')).toEqual({ revision, value: 'vim é\u{1f600}\n' });
      expect(await store.variable(user, 'PAGER')).toBeNull();
    });

    test('has another revision after every change, also where it was lost in between, and none once it is empty', async () => {
      const { user, own, command } = world();
      const store = vaults();
      const seen = [await store.revision(user)];
      seen.push(revisionOf(await store.putFile(user, file('.bashrc'), how)));
      seen.push(revisionOf(await store.putFile(user, file('.bashrc'), how)));
      seen.push(revisionOf(await store.putVariable(user, 'A', '1', how)));
      await command('DEL', own.vault);
      // It is known to be another by Redis' time alone, which has to go on: each of these changes took one of its milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 10));
      seen.push(revisionOf(await store.putVariable(user, 'A', '1', how)));
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
      expect(await store.revision(user)).toBe(seen.at(-1));
      expect(await store.removeVariable(user, 'A', how)).toEqual({ ok: true, revision: 0 });
      expect(await command('EXISTS', own.vault)).toBe(0);
    });

    test('is changed only where it is as whoever changes it saw it, if they say so', async () => {
      const { user } = world();
      const store = vaults();
      const put = (ifRevision: readonly number[] | '*') => store.putVariable(user, 'A', '1', { ...how, ifRevision });
      expect(await put('*')).toEqual({ ok: false, refused: 'precondition-failed', detail: '0' });
      expect(await put([7])).toMatchObject({ refused: 'precondition-failed' });
      const first = revisionOf(await put([0]));
      const second = revisionOf(await put([7, first]));
      expect(await put([first])).toEqual({ ok: false, refused: 'precondition-failed', detail: String(second) });
      expect((await put('*')).ok).toBe(true);
    });

    test('says that what it does not hold cannot be removed, and stays as it is', async () => {
      const { user } = world();
      const store = vaults();
      const revision = revisionOf(await store.putFile(user, file('A'), how));
      expect(await store.removeVariable(user, 'A', how)).toEqual({
        ok: false,
        refused: 'entry-unknown',
        detail: 'e:A',
      });
      expect(await store.removeFile(user, 'B', how)).toMatchObject({ refused: 'entry-unknown' });
      expect(await store.revision(user)).toBe(revision);
    });

    test('is replaced as a whole, or has a whole import put beside what is there, and tells what that changed', async () => {
      const { user } = world();
      const store = vaults();
      const put = (change: VaultChange, dryRun = false) => store.put(user, change, { ...how, dryRun });
      const first = await put({ ...changeOf([file('a'), file('b')]), environment: { A: '1', C: '3' } });
      expect(first).toMatchObject({
        ok: true,
        added: ['f:a', 'f:b', 'e:A', 'e:C'],
        changed: [],
        same: [],
        removed: [],
      });
      const second = { ...changeOf([file('a'), file('b', aliasLine, 0o600)]), environment: { A: '1', B: '2', C: '' } };
      const told = { added: ['e:B'], changed: ['f:b', 'e:C'], same: ['f:a', 'e:A'], removed: [] };
      const dry = await put(second, true);
      expect(dry).toEqual({ ...first, ...told });
      expect((await store.read(user)).environment).toEqual({ A: '1', C: '3' });
      expect(await put(second)).toMatchObject(told);
      const held = await store.read(user);
      expect(held).toMatchObject({ files: second.files, environment: second.environment });
      // Nothing is written where nothing changes.
      expect(await put(second)).toMatchObject({ added: [], changed: [], revision: held.revision });
      expect(await store.revision(user)).toBe(held.revision);
      expect(await put({ ...changeOf([file('c')], true), environment: { A: '1' } })).toMatchObject({
        ...{ added: ['f:c'], changed: [], same: ['e:A'], removed: ['e:B', 'e:C', 'f:a', 'f:b'] },
      });
      expect(await store.read(user)).toMatchObject({ files: [file('c')], environment: { A: '1' } });
      expect(await put(changeOf([], true))).toMatchObject({ ok: true, revision: 0 });
      expect(await put(changeOf([], true))).toMatchObject({ ok: true, revision: 0, removed: [] });
    });

    test('takes an import as what it is told to have been, or, without that, over whatever somebody puts meanwhile', async () => {
      const { user, redis } = world();
      await vaults().putVariable(user, 'A', '1', how);
      const revision = await vaults().revision(user);
      let others = 2;
      const busy: RedisPort = {
        ...redis,
        async run(script, keys, args) {
          if (script === 'write-vault' && others-- > 0) await vaults().putVariable(user, `O${others}`, 'theirs', how);
          return await redis.run(script, keys, args);
        },
      };
      const change = { files: [], environment: { A: '2' }, replaces: true };
      expect(await vaults(seal, busy).put(user, change, how)).toMatchObject({ ok: true, removed: ['e:O0', 'e:O1'] });
      expect((await vaults().environment(user)).variables).toEqual({ A: '2' });
      others = 1;
      const whatever = await vaults(seal, busy).put(user, { ...change, environment: {} }, { ...how, ifRevision: '*' });
      expect(whatever).toEqual({
        ...{ ok: true, revision: 0, added: [], changed: [], same: [], removed: ['e:A', 'e:O0'] },
      });
      expect(await vaults().put(user, change, { ...how, ifRevision: '*' })).toMatchObject({ detail: '0' });
      const late = await vaults().put(user, change, { ...how, ifRevision: [revision] });
      expect(late).toMatchObject({ ok: false, refused: 'precondition-failed' });
    });

    test('has what cannot be opened replaced by an import', async () => {
      const { user } = world();
      await vaults(stranger).putVariable(user, 'A', '1', how);
      const change = { files: [], environment: { A: '1' }, replaces: false };
      expect(await vaults().put(user, change, how)).toMatchObject({ ok: true, changed: ['e:A'] });
      expect((await vaults().environment(user)).variables).toEqual({ A: '1' });
    });

    test('wakes the reconciler with every change, and tells who did it, and no value', async () => {
      const { user, store } = world();
      const woken: string[] = [];
      const end = await store.subscribe(
        'wake',
        (who) => void woken.push(who),
        () => {},
      );
      // The subscription may not stand yet.
      for (let tries = 0; tries < 200 && woken.length === 0; tries += 1) {
        await store.wish(user, { wish: 'adopt', containerId: 'c1', atOnce: false }, 'ops');
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const before = woken.length;
      await vaults().putFile(user, file('.netrc', 'password hunter2'), how);
      await vaults().putVariable(user, 'TOKEN', 'hunter2', { by: 'bob' });
      await vaults().removeVariable(user, 'TOKEN', how);
      await expect.poll(() => woken.length).toBe(before + 3);
      await end();
      const told = (await store.events(user, 3)).map(({ reason, message, by }) => `${reason}: ${message} by ${by}`);
      expect(told).toEqual([
        'VaultChanged: the variable TOKEN was removed by ops',
        'VaultChanged: the variable TOKEN was put by bob',
        'VaultChanged: .netrc was put by ops',
      ]);
      const kept = JSON.stringify([...(await world().stored())]);
      expect(kept).toContain('f:.netrc');
      expect(kept).not.toContain('hunter2');
    });

    test('makes no box and no desired state, and is found by whoever looks for all users', async () => {
      const { user, store, read } = world();
      await vaults().putFile(user, file('.bashrc'), how);
      expect(await store.users()).toEqual([user]);
      expect(await read()).toMatchObject({ desired: null, status: null, leases: [] });
      await vaults().removeFile(user, '.bashrc', how);
      expect(await store.users()).toEqual([]);
    });

    test('that becomes empty does not hide the box of its user', async () => {
      const { user, store, take } = world();
      await take('j1');
      await vaults().putFile(user, file('.bashrc'), how);
      await vaults().removeFile(user, '.bashrc', how);
      expect(await store.users()).toEqual([user]);
    });

    test('stays when its user is deleted', async () => {
      const { user, lead, take, release, commit, store } = world();
      await lead();
      await take('j1');
      await vaults().putVariable(user, 'A', '1', how);
      await release('j1');
      await store.wish(user, { wish: 'delete' }, 'ops');
      expect(await commit({ kind: 'forget' })).toMatchObject({ ok: true });
      expect((await vaults().environment(user)).variables).toEqual({ A: '1' });
      expect(await commit(nothing)).toMatchObject({ ok: true });
    });

    test('is not begun under a name that differs from a known one only by case', async () => {
      const { take, store, user } = world();
      await take('j1');
      const shouting = UserName.parse('ALICE');
      const refused = { ok: false, refused: 'name-differs-by-case', detail: 'alice' };
      expect(await vaults().putFile(shouting, file('.bashrc'), how)).toEqual(refused);
      const dryRun = { ...how, dryRun: true };
      expect(await vaults().put(shouting, changeOf([file('.bashrc')]), dryRun)).toEqual(refused);
      expect(await store.users()).toEqual([user]);
    });
  });

  describe('the limits of a vault', () => {
    test('refuse one file, one variable, one byte too many, and nothing before', async () => {
      const { user } = world();
      const store = vaults();
      const many = Array.from({ length: maxFiles }, (_, index) => file(`f${index}`, ''));
      expect((await store.put(user, changeOf(many), how)).ok).toBe(true);
      const full = { ok: false, refused: 'vault-full' };
      const dryRun = { ...how, dryRun: true };
      expect(await store.put(user, changeOf([file('one-more')]), dryRun)).toEqual({ ...full, detail: 'files' });
      expect(await store.putFile(user, file('one-more', ''), how)).toEqual({ ...full, detail: 'files' });
      expect((await store.putFile(user, file('f7', 'in the place of another'), how)).ok).toBe(true);

      const names = Array.from({ length: maxVariables }, (_, index) => [`V${index}`, '']);
      const change = { files: [], environment: Object.fromEntries(names), replaces: true };
      expect((await store.put(user, change, how)).ok).toBe(true);
      expect(await store.putVariable(user, 'ONE_MORE', '', how)).toEqual({ ...full, detail: 'variables' });

      const large = Array.from({ length: maxVaultBytes / maxFileBytes }, (_, index) =>
        file(`f${index}`, Buffer.alloc(maxFileBytes)),
      );
      expect((await store.put(user, changeOf(large, true), how)).ok).toBe(true);
      const more = file('more', Buffer.alloc(1_024));
      expect(await store.putFile(user, more, how)).toEqual({ ...full, detail: 'bytes' });
      expect((await store.removeFile(user, 'f0', how)).ok).toBe(true);
      expect((await store.putFile(user, more, how)).ok).toBe(true);
    });

    test('refuse a file where another one needs a directory, whichever came first', async () => {
      const { user } = world();
      const store = vaults();
      await store.putFile(user, file('.config/git/config'), how);
      await store.putFile(user, file('.config/gitk'), how);
      const refused = { ok: false, refused: 'path-conflict' };
      expect(await store.putFile(user, file('.config/git'), how)).toEqual({ ...refused, detail: '.config/git' });
      expect(await store.putFile(user, file('.config/gitk/x'), how)).toEqual({ ...refused, detail: '.config/gitk' });
      expect((await store.put(user, changeOf([file('.config')], true), how)).ok).toBe(true);
    });
  });

  describe('without the right key', () => {
    test('a vault tells what it holds, and that it cannot be opened', async () => {
      const { user } = world();
      await vaults().putFile(user, file('.bashrc', aliasLine, 0o600), how);
      await vaults().putVariable(user, 'A', '12345', how);
      const entry = { keyId: seal.keyId, opens: true };
      expect(await vaults().list(user)).toMatchObject({
        files: [{ path: '.bashrc', mode: 0o600, bytes: aliasLine.length, ...entry }],
        variables: [{ name: 'A', bytes: 5, ...entry }],
      });
      for (const keys of [null, stranger]) {
        expect(await vaults(keys).list(user)).toMatchObject({
          files: [{ path: '.bashrc', mode: null, bytes: null, keyId: seal.keyId, opens: false }],
          variables: [{ name: 'A', bytes: null, opens: false }],
        });
        expect(await vaults(keys).revision(user)).toBeGreaterThan(0);
        const problem = keys === null ? 'no-key' : 'key-missing';
        const store = vaults(keys);
        for (const reading of [
          () => store.read(user),
          () => store.file(user, '.bashrc'),
          () => store.variable(user, 'A'),
        ]) {
          const error = await sealProblem(reading());
          expect(error.problem).toBe(problem);
          expect(error.message).toMatch(/(the file \.bashrc|the variable A) of alice cannot be read/);
        }
        const left = { files: [], environment: {}, unreadable: [{ field: 'e:A' }, { field: 'f:.bashrc' }] };
        expect(await store.readable(user)).toMatchObject(left);
        expect(await store.environment(user)).toMatchObject({ variables: {}, unreadable: [{ field: 'e:A' }] });
      }
    });

    test('nothing is put, but what is there can be removed', async () => {
      const { user } = world();
      await vaults().putVariable(user, 'A', '1', how);
      expect((await sealProblem(vaults(null).putVariable(user, 'B', '2', how))).problem).toBe('no-key');
      expect(await vaults(null).removeVariable(user, 'A', how)).toEqual({ ok: true, revision: 0 });
    });

    test('a user who has no variables has an empty environment all the same', async () => {
      const { user } = world();
      expect((await vaults(null).environment(user)).variables).toEqual({});
      await vaults().putFile(user, file('.bashrc'), how);
      expect((await vaults(null).environment(user)).variables).toEqual({});
    });

    test('a sealed text that was copied to another name or user is not taken', async () => {
      const { user, own, keys, command } = world();
      await vaults().putVariable(user, 'A', '1', how);
      const sealed = String(await command('HGET', own.vault, 'e:A'));
      const bob = UserName.parse('bob');
      await command('HSET', own.vault, 'e:B', sealed);
      await command('HSET', keys.user(bob).vault, 'e:A', sealed);
      const changed = { error: { problem: 'changed' } };
      expect(await vaults().environment(user)).toMatchObject({
        variables: { A: '1' },
        unreadable: [{ field: 'e:B', ...changed }],
      });
      expect(await vaults().environment(bob)).toMatchObject({ variables: {}, unreadable: [changed] });
      expect((await sealProblem(vaults().read(user))).problem).toBe('changed');
    });
  });

  test('the keys of a vault are told without opening it', async () => {
    const { user, own, command } = world();
    expect(await vaults(null).sealedUnder(user)).toEqual(new Map());
    await vaults(before).put(user, changeOf([file('a'), file('b')]), how);
    await vaults().putVariable(user, 'A', '1', how);
    await command('HSET', own.vault, 'f:broken', 'no sealed text');
    const counts = new Map([
      ['', 1],
      [before.keyId, 2],
      [seal.keyId, 1],
    ]);
    expect(await vaults(null).sealedUnder(user)).toEqual(counts);
  });

  describe('a damaged vault', () => {
    test('of another type is as good as lost, and can be written again', async () => {
      const { user, own, command } = world();
      await command('SET', own.vault, 'what is this');
      expect(await vaults().read(user)).toEqual({ revision: 0, files: [], environment: {} });
      await command('SET', own.vault, 'what is this');
      expect((await vaults().putVariable(user, 'A', '1', how)).ok).toBe(true);
    });

    test('whose revision cannot be read has a new one, and keeps what it holds', async () => {
      const { user, own, command } = world();
      const revision = revisionOf(await vaults().putVariable(user, 'A', '1', how));
      for (const damage of [
        ['HSET', own.vault, 'revision', 'x'],
        ['HDEL', own.vault, 'revision'],
      ]) {
        await command(...damage);
        const read = await vaults().read(user);
        expect(read.environment).toEqual({ A: '1' });
        expect(read.revision).toBeGreaterThanOrEqual(revision);
        expect(await vaults().revision(user)).toBe(read.revision);
      }
    });
  });

  describe('a rotation', () => {
    async function keyIds(): Promise<(string | null)[]> {
      const { command, own } = world();
      const fields = await pairs(command, own.vault);
      return fields.filter(([field]) => field !== 'revision').map(([, sealed]) => keyIdOf(sealed));
    }

    test('seals everything under the current key, changes nothing that it holds, and does nothing the second time', async () => {
      const { user } = world();
      await vaults(before).put(user, { ...changeOf([file('a'), file('b')]), environment: { A: '1' } }, how);
      await vaults(seal).putVariable(user, 'B', '2', how);
      const held = await vaults().read(user);
      expect(await vaults().rotate(user)).toEqual({ resealed: 3, current: 1, changed: 0, unreadable: [] });
      expect(await keyIds()).toEqual([seal.keyId, seal.keyId, seal.keyId, seal.keyId]);
      const alone = createVaultKeys({ current: 'the key of today', previous: [] });
      expect(await vaults(alone).read(user)).toEqual(held);
      expect(await vaults().rotate(user)).toEqual({ resealed: 0, current: 4, changed: 0, unreadable: [] });
    });

    test('that is interrupted leaves every entry readable, and goes on where it was', async () => {
      const { user, redis } = world();
      await vaults(before).put(user, changeOf([file('a'), file('b'), file('c')]), how);
      const held = await vaults().read(user);
      let left = 2;
      const failing: RedisPort = {
        ...redis,
        async run(script, keys, args) {
          if (script === 'reseal-vault' && left-- === 0) throw new Error('Redis went');
          return await redis.run(script, keys, args);
        },
      };
      await expect(vaults(seal, failing).rotate(user)).rejects.toThrow('Redis went');
      expect((await keyIds()).filter((id) => id === before.keyId)).toHaveLength(1);
      expect(await vaults().read(user)).toEqual(held);
      expect(await vaults().rotate(user)).toMatchObject({ resealed: 1, current: 2 });
      expect(await vaults().read(user)).toEqual(held);
    });

    test('leaves what it cannot open, names it and why, and goes on with the rest', async () => {
      const { user, own, command } = world();
      await vaults(stranger).putFile(user, file('theirs'), how);
      await vaults(before).putVariable(user, 'A', '1', how);
      await command('HSET', own.vault, 'f:broken', 'no sealed text');
      const { unreadable, ...counts } = await vaults().rotate(user);
      expect(counts).toEqual({ resealed: 1, current: 0, changed: 0 });
      expect(unreadable.map(({ entry }) => entry)).toEqual(['the file broken', 'the file theirs']);
      expect(unreadable[1]?.why).toContain(stranger.keyId);
      expect((await vaults(stranger).file(user, 'theirs'))?.file).toEqual(file('theirs'));
    });

    test('does not undo what somebody puts meanwhile', async () => {
      const { user, redis } = world();
      await vaults(before).putVariable(user, 'A', 'old', how);
      const slow: RedisPort = {
        ...redis,
        async run(script, keys, args) {
          if (script === 'reseal-vault') await vaults().putVariable(user, 'A', 'new', how);
          return await redis.run(script, keys, args);
        },
      };
      expect(await vaults(seal, slow).rotate(user)).toMatchObject({ resealed: 0, changed: 1 });
      expect((await vaults().environment(user)).variables).toEqual({ A: 'new' });
    });
  });
}
