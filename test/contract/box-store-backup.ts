import { beforeEach, describe, expect, test } from 'vitest';
import { createAccessStore } from '#shared/access-store.ts';
import type { BackupRecord, UserRecord } from '#shared/backup.ts';
import { UserName } from '#shared/identity.ts';
import { createRolloutStore } from '#shared/rollout-store.ts';
import { createVaultOrders } from '#shared/vault-orders.ts';
import { createVaultKeys } from '#shared/vault-seal.ts';
import { createVaultStore, type VaultStore } from '#shared/vault-store.ts';
import { type BackupStore, createBackupStore, type RestoreHow } from '../../controller/src/store/backup-store.ts';
import { hour, minute, type World } from './box-store-world.ts';

const day = 24 * hour;
const by = { by: 'ann' };
const seal = createVaultKeys({ current: 'the key of today', previous: [] });

/** What a backup keeps, and what its restore may change. */
export function backupContract(world: () => World): void {
  let backups: BackupStore;
  let vaults: VaultStore;
  beforeEach(() => {
    const { redis, keys } = world();
    backups = createBackupStore({ redis, keys });
    vaults = createVaultStore({ redis, keys, seal });
  });

  async function kept(): Promise<UserRecord> {
    const [record, ...damaged] = await backups.user(world().user);
    expect(damaged).toEqual([]);
    if (record?.kind !== 'user') throw new Error('there is no record of the user');
    return record;
  }
  async function how(changes: Partial<RestoreHow> = {}): Promise<RestoreHow> {
    return { by: 'ops', takenAt: (await world().read()).now, overwrite: false, dryRun: false, ...changes };
  }
  async function restore(record: UserRecord, changed: RestoreHow): Promise<string[]> {
    return (await backups.restoreUser(record, changed)).map(({ part, outcome }) => `${part}: ${outcome}`);
  }
  const pin = { kind: 'pin', holder: 'ann', ttlMs: day } as const;

  /** A user with a class, a pin, a job and a vault; the backup of it; then everything is lost. */
  async function lost(): Promise<{ record: UserRecord; taken: RestoreHow }> {
    const { take, user, command, keys, own } = world();
    await take('p1', { ...pin, class: 'small' });
    await take('j1');
    await vaults.putVariable(user, 'EDITOR', 'vim', { by: 'ann' });
    const [record, taken] = [await kept(), await how()];
    await command('DEL', keys.users, own.desired, own.leases, own.vault, own.events);
    return { record, taken };
  }

  describe('a backup', () => {
    test('keeps class, pins and the sealed vault of a user, and no lease of a job or a terminal', async () => {
      const { record } = await lost();
      expect(record).toMatchObject({ desired: { class: 'small' }, wishes: [], pins: [{ id: 'p1', holder: 'ann' }] });
      expect(record.pins).toHaveLength(1);
      expect(record.vault?.entries.map(([field]) => field)).toEqual(['e:EDITOR']);
      expect(JSON.stringify(record)).not.toContain('vim');
    });

    test('names what is damaged, and keeps the rest', async () => {
      const { user, own, command, take } = world();
      await take('p1', pin);
      await vaults.putVariable(user, 'A', '1', { by: 'ann' });
      await command('HSET', own.vault, 'e:B', 'no sealed text');
      const [record, ...damaged] = await backups.user(user);
      expect(record).toMatchObject({ kind: 'user', vault: { entries: [['e:A', expect.any(String)]] } });
      expect(damaged).toEqual([
        { kind: 'damaged', of: `user ${user}: the entry e:B of its vault`, why: '1: is no sealed text' },
      ]);
    });
  });

  describe('a restore', () => {
    test('brings back what was lost, in one step that wakes the reconciler, and the second time changes nothing', async () => {
      const { record, taken } = await lost();
      const { user, store, read, stored, command, keys } = world();
      const woken: string[] = [];
      const end = await store.subscribe(
        'wake',
        (who) => void woken.push(who),
        () => {},
      );
      // The subscription may not stand yet.
      const probe = () => command('PUBLISH', keys.wakeChannel, 'probe').then(() => woken);
      await expect.poll(probe).toContain('probe');
      const all = ['desired: restored', 'pin p1: restored', 'vault: restored'];
      expect(await restore(record, { ...taken, dryRun: true })).toEqual(all);
      expect((await read()).desired).toBeNull();
      expect(woken).not.toContain(user);
      expect(await restore(record, taken)).toEqual(all);
      await expect.poll(() => woken).toContain(user);
      await end();
      const found = await read();
      expect(found.desired).toMatchObject({ class: 'small', lastActivityCause: 'restored', reapGeneration: 0 });
      expect(found.desired?.lastActivityAt).toBeGreaterThanOrEqual(taken.takenAt);
      expect(found.desired?.generation).toBeGreaterThan(record.desired?.generation ?? 0);
      expect(found.leases).toMatchObject([
        { id: 'p1', kind: 'pin', holder: 'ann', expiresAt: record.pins[0]?.expiresAt },
      ]);
      expect((await vaults.environment(user)).variables).toEqual({ EDITOR: 'vim' });
      expect(await vaults.revision(user)).toBeGreaterThan(record.vault?.revision ?? 0);
      expect(await store.users()).toEqual([user]);
      const before = await stored();
      expect(await restore(record, taken)).toEqual(['desired: same', 'pin p1: same', 'vault: same']);
      expect(await stored()).toEqual(before);
    });

    test('goes beside what somebody took since the loss, and takes no lease away', async () => {
      const { record, taken } = await lost();
      const { take, read, user } = world();
      await take('j2');
      await take('p1', { holder: 'agent-9' });
      await vaults.putVariable(user, 'EDITOR', 'emacs', { by: 'bob' });
      const told = ['desired: kept', 'pin p1: kept', 'vault: kept'];
      expect(await restore(record, taken)).toEqual(told);
      // The class is held, and a live lease is its holder's, whatever is asked for.
      expect(await restore(record, { ...taken, overwrite: true })).toEqual([...told.slice(0, 2), 'vault: restored']);
      expect((await read()).desired?.class).toBe('default');
      expect((await read()).leases.map(({ id }) => id).toSorted()).toEqual(['j2', 'p1']);
      expect((await vaults.environment(user)).variables).toEqual({ EDITOR: 'vim' });
    });

    test('brings a pin back beside desired state that was made anew, once', async () => {
      const { record, taken } = await lost();
      const { take, read, release, command, own } = world();
      await take('j2', { class: 'small' });
      expect(await restore(record, taken)).toContain('pin p1: restored');
      await release('p1');
      expect(await restore(record, taken)).toContain('pin p1: kept');
      // Its tombstone has gone, too.
      await command('HDEL', own.leases, 'p1');
      expect(await restore(record, taken)).toContain('pin p1: kept');
      expect((await read()).leases.map(({ id }) => id)).toEqual(['j2']);
    });

    test('brings no pin back that was given back or reaped since, unless it is told to', async () => {
      const { take, release, user, store, read, own, command } = world();
      await take('p1', pin);
      const [record, taken] = [await kept(), await how()];
      await release('p1');
      expect(await restore(record, taken)).toEqual(['desired: same', 'pin p1: kept']);
      // The tombstone has gone; what is wanted was not lost, and nothing of it is held.
      await command('DEL', own.leases);
      expect(await restore(record, taken)).toEqual(['desired: same', 'pin p1: kept']);
      await take('p1', pin);
      await store.wish(user, { wish: 'reap' }, 'ops');
      await command('DEL', own.leases);
      expect(await restore(record, taken)).toEqual(['desired: same', 'pin p1: kept']);
      expect((await read()).leases).toEqual([]);
      expect(await restore(record, { ...taken, overwrite: true })).toEqual(['desired: same', 'pin p1: restored']);
    });

    test('brings a pin back where Redis lost the leases alone', async () => {
      const { take, own, command } = world();
      await take('p1', pin);
      const [record, taken] = [await kept(), await how()];
      await command('DEL', own.leases);
      expect(await restore(record, taken)).toEqual(['desired: same', 'pin p1: restored']);
    });

    test('gives a pin what is left of its time, and none that is over', async () => {
      const { record, taken } = await lost();
      const over = { ...record, pins: record.pins.map((one) => ({ ...one, expiresAt: taken.takenAt - minute })) };
      expect(await restore(over, taken)).toContain('pin p1: ended');
      const long = { ...record, pins: record.pins.map((one) => ({ ...one, expiresAt: taken.takenAt + 90 * day })) };
      expect(await restore(long, { ...taken, overwrite: true })).toContain('pin p1: restored');
      const { command, own, read } = world();
      const heldUntil = Number(await command('HGET', own.desired, 'heldUntil'));
      expect(heldUntil).toBeGreaterThan(taken.takenAt + 29 * day);
      expect(heldUntil).toBeLessThanOrEqual((await read()).now + 30 * day);
    });

    test('brings back what was to go from the home, with the revision by which a home knows that it is done', async () => {
      const { take, user, keys, own, command } = world();
      const orders = createVaultOrders({ redis: world().redis, keys });
      const put = (path: string) => vaults.putFile(user, { path, mode: 0o644, content: Buffer.from('x') }, by);
      await take('j1');
      for (const path of ['kept', 'gone']) await put(path);
      await vaults.removeFile(user, 'gone', by);
      const asked = await orders.read(user);
      const [record, taken] = [await kept(), await how()];
      expect(record.vaultOrders).toEqual(asked);
      await command('DEL', keys.users, own.desired, own.leases, own.vault, own.vaultOrders, own.events);
      expect(await restore(record, taken)).toContain('vault: restored');
      expect(await orders.read(user)).toEqual(asked);
      expect(await restore(record, taken)).toContain('vault: same');

      // Nothing but that is left.
      await vaults.removeFile(user, 'kept', by);
      const [emptied, then] = [await kept(), await how()];
      expect(emptied.vault).toBeNull();
      await command('DEL', keys.users, own.desired, own.leases, own.vaultOrders, own.events);
      expect(await restore(emptied, { ...then, dryRun: true })).toEqual(['desired: restored', 'vault: restored']);
      expect(await orders.read(user)).toEqual([]);
      expect(await restore(emptied, then)).toEqual(['desired: restored', 'vault: restored']);
      expect(await orders.read(user)).toEqual(emptied.vaultOrders);
      expect((await world().read()).vaultRevision).toBeGreaterThan(record.vault?.revision ?? 0);
      await orders.settle(user, (await world().read()).vaultRevision);
      expect(await restore(emptied, then)).toEqual(['desired: same', 'vault: same']);
      await put('new');
      expect(await restore(emptied, then)).toEqual(['desired: same', 'vault: ended']);
      // Of a user of whom nothing else is known, nothing else becomes known.
      await command('DEL', keys.users, own.desired, own.leases, own.vault, own.events);
      expect(await restore({ ...emptied, desired: null }, then)).toEqual(['vault: restored']);
      expect([await world().store.users(), await command('TTL', own.vaultOrders)]).toEqual([[], 604_800]);
    });

    test('that goes before what is newer has what it takes out of the vault taken out of the home', async () => {
      const { user, keys } = world();
      const put = (path: string) => vaults.putFile(user, { path, mode: 0o644, content: Buffer.from('x') }, by);
      await put('old');
      const [record, taken] = [await kept(), await how()];
      await put('new');
      await vaults.putVariable(user, 'NEW', '1', by);
      expect(await restore(record, { ...taken, overwrite: true })).toEqual(['vault: restored']);
      const revision = await vaults.revision(user);
      const orders = await createVaultOrders({ redis: world().redis, keys }).read(user);
      expect(orders).toEqual([{ order: 'drop', path: 'new', revision }]);
    });

    test('leaves a vault empty that was emptied since, also of a user who never had a box', async () => {
      const { user, own, command } = world();
      await vaults.putVariable(user, 'TOKEN', '1', by);
      const [record, taken] = [await kept(), await how()];
      await vaults.removeVariable(user, 'TOKEN', by);
      expect(await restore(record, { ...taken, takenAt: taken.takenAt - 1 })).toEqual(['vault: kept']);
      await command('DEL', own.events);
      expect(await restore(record, taken)).toEqual(['vault: restored']);
    });

    test('repeats no wish: what was to be reaped then is told, and is not reaped', async () => {
      const { take, user, store, lead, commit, read, keys, own, command } = world();
      await take('j1');
      await lead();
      await commit({ kind: 'none' });
      await store.wish(user, { wish: 'reap' }, 'ops');
      const [record, taken] = [await kept(), await how()];
      expect(record.wishes).toEqual(['reap']);
      await command('DEL', keys.users, own.desired, own.leases);
      const told = await backups.restoreUser(record, taken);
      expect(told.at(-1)).toMatchObject({ part: 'reap', outcome: 'note' });
      expect((await read()).desired).toMatchObject({ reapGeneration: 0, recreateGeneration: 0 });
      expect((await read()).wantedUntil).toBeGreaterThan(taken.takenAt);
    });

    test('leaves a vault that was changed or emptied since, and one that was sealed anew, and a name that differs by case', async () => {
      const { take, user, command, keys } = world();
      await take('j1');
      await vaults.putVariable(user, 'A', '1', { by: 'ann' });
      const [record, taken] = [await kept(), await how()];
      const newer = createVaultKeys({ current: 'tomorrow', previous: ['the key of today'] });
      await createVaultStore({ redis: world().redis, keys, seal: newer }).rotate(user);
      expect(await restore(record, taken)).toEqual(['desired: same', 'vault: same']);
      await vaults.putVariable(user, 'A', '2', { by: 'ann' });
      expect(await restore(record, taken)).toEqual(['desired: same', 'vault: kept']);
      expect((await vaults.environment(user)).variables).toEqual({ A: '2' });
      // What is wanted was not lost, so neither was the vault: somebody emptied it.
      // A clock that is behind the one of then must not make a revision that a box may have had already.
      await command('DEL', world().own.vault);
      const ahead = taken.takenAt + day;
      const late = { ...record, vault: record.vault && { ...record.vault, revision: ahead } };
      expect(await restore(late, taken)).toEqual(['desired: same', 'vault: kept']);
      expect(await restore(late, { ...taken, overwrite: true })).toEqual(['desired: same', 'vault: restored']);
      expect(await vaults.revision(user)).toBeGreaterThan(ahead);
      await command('HSET', keys.users, user, user.toUpperCase());
      expect(await restore({ ...record, user: UserName.parse(user) }, taken)).toEqual([': kept']);
    });
  });

  describe('a restore of tokens', () => {
    type Tokens = Extract<BackupRecord, { kind: 'tokens' }>;
    async function tokensNow(): Promise<Tokens> {
      const [record] = await backups.tokens((await world().read()).now);
      if (record?.kind !== 'tokens') throw new Error('there is no record of tokens');
      return record;
    }
    const outcomes = async (record: Tokens, by: RestoreHow): Promise<string[]> =>
      (await backups.restoreTokens(record, by)).map(({ outcome }) => outcome);

    test('makes them work again, but not those that have expired, and none that was revoked since', async () => {
      const { keys, redis, command } = world();
      const access = createAccessStore({ redis, keys });
      const ci = await access.makeToken({ name: 'ci', role: 'jobs' });
      const short = await access.makeToken({ name: 'short', role: 'viewer', ttlMs: hour });
      if (ci === null || short === null) throw new Error('no token was made');
      const [record, taken] = [await tokensNow(), await how()];
      expect(JSON.stringify(record)).not.toContain(ci.token);
      const past = record.items.map((item) =>
        item.id === short.id ? { ...item, expiresAt: taken.takenAt - 1 } : item,
      );
      const late: Tokens = { ...record, items: past.toSorted((a) => (a.id === ci.id ? -1 : 1)) };

      await access.revokeToken(ci.id);
      expect(await outcomes(late, taken)).toEqual(['kept', 'ended']);
      await command('DEL', keys.apiTokens);
      expect(await outcomes(late, { ...taken, dryRun: true })).toEqual(['restored', 'ended']);
      expect(await access.findToken(ci.token)).toMatchObject({ ok: false });
      expect(await outcomes(late, taken)).toEqual(['restored', 'ended']);
      expect(await access.findToken(ci.token)).toMatchObject({ ok: true, token: { id: ci.id, role: 'jobs' } });
      expect(await access.findToken(short.token)).toMatchObject({ ok: false });
      expect(await outcomes(late, taken)).toEqual(['same', 'ended']);
    });
  });

  describe('a restore of modes', () => {
    test('sets them as they were, unless an operator set them since', async () => {
      const { store, keys, redis, command } = world();
      const rollouts = createRolloutStore(redis, keys);
      const { mode } = await store.setMode({ mode: 'drain', reason: 'disk' }, 'ops');
      const { pause: rollout } = await rollouts.pause({ paused: true, reason: 'a release' }, 'ann');
      const record: Extract<BackupRecord, { kind: 'reconciler' }> = { kind: 'reconciler', mode, rollout };
      const taken = await how();
      await command('DEL', keys.mode, keys.rollout);
      expect(await backups.restoreModes(record, taken)).toMatchObject([
        { outcome: 'restored' },
        { outcome: 'restored' },
      ]);
      expect((await store.mode()).mode).toEqual(mode);
      expect((await rollouts.read()).pause).toEqual(rollout);
      expect(await backups.restoreModes(record, taken)).toMatchObject([{ outcome: 'same' }, { outcome: 'same' }]);
      const earlier = { ...taken, takenAt: taken.takenAt - hour };
      await store.setMode({ mode: 'run' }, 'bob');
      expect(await backups.restoreModes(record, earlier)).toMatchObject([{ outcome: 'kept' }, { outcome: 'same' }]);
      expect((await store.mode()).mode.mode).toBe('run');
      const over = { ...earlier, overwrite: true };
      expect(await backups.restoreModes(record, over)).toMatchObject([{ outcome: 'restored' }, { outcome: 'same' }]);
      expect((await store.mode()).mode.mode).toBe('drain');
    });
  });
}
