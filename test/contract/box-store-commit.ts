import { describe, expect, test } from 'vitest';
import {
  drain,
  hour,
  leaderToken,
  minute,
  nothing,
  pairs,
  type RedisHarness,
  sessionOf,
  type World,
} from './box-store-world.ts';

const ok = { ok: true };

/** The one permission to change a container: what it refuses is what must never happen. */
export function commitContract(world: () => World, harness: () => RedisHarness): void {
  /** Nobody has needed the box for longer than it is kept. */
  async function idleBox(): Promise<void> {
    const { take, release, passTime, lead, commit } = world();
    await take('j1');
    await release('j1');
    await lead();
    expect(await commit(nothing)).toEqual(ok);
    await passTime(31 * minute);
  }

  describe('a commit', () => {
    test('writes the status with the next version, the events, and tells who listens', async () => {
      const { lead, commit, read, store, user } = world();
      const heard: string[] = [];
      const end = await store.subscribe(
        'status',
        (who) => heard.push(who),
        () => {},
      );
      await lead();
      expect(await commit(nothing, { events: [{ reason: 'Probed', message: 'ready' }] })).toEqual(ok);
      expect((await read()).status).toMatchObject({ version: 1, phase: 'ready', containerId: 'c1', keepUntil: 0 });
      expect(await commit(nothing, { containerId: '' })).toEqual(ok);
      expect((await read()).status).toMatchObject({ version: 2, containerId: null, message: 'as the test has it' });
      expect(await store.events(user, 5)).toMatchObject([{ reason: 'Probed', message: 'ready', by: 'spoonbox' }]);
      expect(await store.users()).toEqual([user]);
      await end();
    });

    test('of a process that does not lead, or leads no more, is refused', async () => {
      const { lead, commit, leaderStore, read } = world();
      expect(await commit(nothing)).toMatchObject({ refused: 'not-leader' });
      await lead();
      expect(await commit(nothing, { token: 'another' })).toMatchObject({ refused: 'not-leader' });
      const next = { token: 'the-next', ttlMs: 60_000, holder: 'n', fingerprint: '' };
      const { counter } = await leaderStore.look(next);
      expect(await leaderStore.take(next, counter)).toMatchObject({ leads: true });
      expect(await commit(nothing)).toMatchObject({ refused: 'not-leader' });
      expect((await read()).status).toBe(null);
    });

    test('upon another version than the one that was read is refused', async () => {
      const { lead, commit, read } = world();
      await lead();
      expect(await commit(nothing, { version: 1 })).toMatchObject({ refused: 'stale', detail: 'version 0' });
      await commit(nothing);
      expect(await commit(nothing, { version: 0, phase: 'failed' })).toMatchObject({ refused: 'stale' });
      expect((await read()).status).toMatchObject({ version: 1, phase: 'ready' });
    });

    test('of two with the same version, one passes', async () => {
      const { lead, commit } = world();
      await lead();
      const results = await Promise.all(Array.from({ length: 20 }, () => commit(nothing, { version: 0 })));
      expect(results.filter((result) => result.ok)).toHaveLength(1);
    });
  });

  describe('an idle reap', () => {
    test('is allowed when nobody has held the box for long enough', async () => {
      await idleBox();
      expect(await world().commit(drain('idle'), { phase: 'reaping' })).toEqual(ok);
    });

    test.each([
      ['a lease was taken', async ({ take }: World) => void (await take('j2'))],
      [
        'a job that runs was renewed',
        async ({ take, renew }: World) => {
          await take('j2', { holder: 'other' });
          await renew('j2');
        },
      ],
    ])('is refused when %s between read and commit', async (_what, happens) => {
      await idleBox();
      const version = (await world().read()).status?.version ?? 0;
      await happens(world());
      const result = await world().commit(drain('idle'), { version, phase: 'reaping' });
      expect(result).toMatchObject({ ok: false, refused: 'still-wanted' });
      expect((await world().read()).status?.phase).toBe('ready');
    });

    test('is refused when a key was pressed between read and commit', async () => {
      const { take, passTime, renew, read, commit, lead, command, own } = world();
      const { now } = await take('t1', { kind: 'terminal', ttlMs: 300_000 });
      await lead();
      await commit(nothing);
      await passTime(4 * minute);
      await command('HSET', own.desired, 'lastActivityAt', `${now - 9 * hour}`);
      await command('HSET', own.leases, 't1', JSON.stringify({ ...(await read()).leases[0], takenAt: now - 9 * hour }));
      const record = await read();
      expect(record.wantedUntil).toBeLessThan(record.now);
      await renew('t1', { inputAgeMs: 500 });
      const version = record.status?.version ?? 0;
      expect(await commit(drain('idle'), { version })).toMatchObject({ refused: 'still-wanted' });
      expect((await read()).leases).toHaveLength(1);
    });

    test('ends the terminals that were attached and idle too long in the same commit, with the reason', async () => {
      const { take, read, commit, lead, command, own, renew, store, user } = world();
      const { now } = await take('t1', { kind: 'terminal', ttlMs: 300_000, holder: 'gateway' });
      await lead();
      await commit(nothing);
      await command('HSET', own.desired, 'lastActivityAt', `${now - 8 * hour - 1}`);
      await command('HSET', own.leases, 't1', JSON.stringify({ ...(await read()).leases[0], takenAt: now - 9 * hour }));
      expect(await commit(drain('idle'), { phase: 'reaping' })).toEqual(ok);
      expect(await renew('t1', { inputAgeMs: 0 })).toMatchObject({ refused: 'lease-ended', reason: 'attached-idle' });
      const record = await read();
      expect(record.desired?.lastActivityAt).toBe(now - 8 * hour - 1);
      expect(record.holds.map(({ by }) => by)).toEqual(['activity']);
      expect((await store.events(user, 1))[0]?.message).toBe('terminal lease of gateway ended: attached-idle');
    });

    test('is refused until the time that an amnesty granted', async () => {
      const { commit, read } = world();
      await idleBox();
      const { now } = await read();
      await commit(nothing, { keepUntil: now + 5_000, keepCause: 'amnesty' });
      expect(await read()).toMatchObject({ wantedUntil: now + 5_000 });
      expect(await commit(drain('idle'))).toMatchObject({ refused: 'still-wanted', detail: `until ${now + 5_000}` });
      await commit(nothing, { keepUntil: now - 1, keepCause: 'amnesty' });
      expect(await commit(drain('idle'))).toEqual(ok);
    });

    test('is refused as untrusted while the mark is missing or another server’s', async () => {
      const { commit, leaderStore } = world();
      await idleBox();
      await leaderStore.mark(leaderToken, null);
      expect(await commit(drain('idle'))).toMatchObject({ refused: 'untrusted' });
      await leaderStore.mark(leaderToken, 'f'.repeat(40));
      expect(await commit(drain('idle'))).toMatchObject({ refused: 'untrusted' });
    });

    test('is refused after a restart of Redis, though the leader still leads and all data are there', async () => {
      const { commit, leaderStore, redis } = world();
      await idleBox();
      await harness().restart();
      await reconnected(world());
      expect(await commit(drain('idle'))).toMatchObject({ refused: 'untrusted' });
      expect(await leaderStore.mark(leaderToken, await redis.runId())).toBe(true);
      expect(await commit(drain('idle'))).toEqual(ok);
    });

    test('is refused after Redis was emptied, by the old leader and by a new one', async () => {
      const { commit, leaderStore } = world();
      await idleBox();
      await harness().flush();
      expect(await commit(drain('idle'), { version: 0 })).toMatchObject({ refused: 'not-leader' });
      expect(await leaderStore.mark(leaderToken, 'x')).toBe(false);
      await leaderStore.take({ token: 'new', ttlMs: 60_000, holder: '', fingerprint: '' }, 0);
      expect(await commit(drain('idle'), { version: 0, token: 'new' })).toMatchObject({ refused: 'untrusted' });
    });
  });

  describe('a box that gives way to others', () => {
    /** Idle for two minutes, of a class whose boxes give way after one. */
    const lately = async (): Promise<number> => {
      const { command, own, read } = world();
      await idleBox();
      const { now } = await read();
      await command('HSET', own.desired, 'lastActivityAt', `${now - 2 * minute}`);
      return now;
    };

    test('does so while activity alone keeps it, and not before its time', async () => {
      const { commit, command, own, read } = world();
      const now = await lately();
      expect(await read()).toMatchObject({ givesWayAt: now - minute, wantedUntil: expect.any(Number) });
      expect((await read()).wantedUntil).toBeGreaterThan(now);
      await command('HSET', own.desired, 'lastActivityAt', `${now - minute + 5_000}`);
      const refused = await commit(drain('gave-way'));
      expect(refused).toMatchObject({ refused: 'still-wanted', detail: `until ${now + 5_000}` });
      await command('HSET', own.desired, 'lastActivityAt', `${now - 2 * minute}`);
      expect(await commit(drain('gave-way'), { phase: 'reaping' })).toEqual(ok);
    });

    test.each([
      ['somebody holds it', async ({ take }: World) => void (await take('j2'))],
      [
        'somebody may come back to a terminal in it',
        async ({ command, own }: World) => void (await command('HSET', own.sessions, 's1', '{}')),
      ],
      [
        'leases of it were lost',
        async ({ command, own, read }: World) =>
          void (await command('HSET', own.desired, 'heldUntil', `${(await read()).now + minute}`)),
      ],
      [
        'it was granted time',
        async ({ commit, read }: World) => {
          const { now } = await read();
          await commit(nothing, { keepUntil: now + minute, keepCause: 'amnesty' });
        },
      ],
      ['nothing is known of who needs it', async ({ command, own }: World) => void (await command('DEL', own.desired))],
    ])('does not while %s', async (_what, happens) => {
      await lately();
      await happens(world());
      const record = await world().read();
      expect(record.givesWayAt === null || record.givesWayAt > record.now).toBe(true);
      expect(await world().commit(drain('gave-way'))).toMatchObject({ refused: 'still-wanted' });
    });

    test('does not on a Redis that is not trusted', async () => {
      await lately();
      await world().leaderStore.mark(leaderToken, null);
      expect(await world().commit(drain('gave-way'))).toMatchObject({ refused: 'untrusted' });
    });
  });

  describe('a drain for another cause', () => {
    test.each([
      ['reap', 'reap', { wish: 'reap' }],
      ['deleted', 'delete', { wish: 'delete' }],
      ['recreate', 'recreate', { wish: 'recreate' }],
    ] as const)(
      '%s is allowed for a container older than the operator’s %s, leases or not',
      async (cause, _w, wish) => {
        const { take, lead, commit, store, user, read } = world();
        const { generation } = await take('j1');
        await lead();
        expect(await commit(drain(cause), { containerGeneration: generation })).toMatchObject({
          refused: 'still-wanted',
        });
        await store.wish(user, wish, 'ops');
        const newer = (await read()).desired?.generation ?? 0;
        await take('j2');
        expect(await commit(drain(cause), { containerGeneration: newer })).toMatchObject({ refused: 'still-wanted' });
        expect(await commit(drain(cause), { containerGeneration: generation })).toEqual(ok);
      },
    );

    test('adopt is allowed for the very container that the operator named', async () => {
      const { lead, commit, store, user } = world();
      await lead();
      expect(await commit(drain('adopt', 'foreign'))).toMatchObject({ refused: 'still-wanted' });
      await store.wish(user, { wish: 'adopt', containerId: 'foreign', atOnce: false }, 'ops');
      expect(await commit(drain('adopt', 'another'))).toMatchObject({ refused: 'still-wanted' });
      expect(await commit(drain('adopt', 'foreign'))).toEqual(ok);
    });

    test('adopt takes the short id that people are shown, and nothing shorter', async () => {
      const { lead, commit, store, user } = world();
      const id = '0123456789ab'.padEnd(64, 'c');
      await lead();
      await store.wish(user, { wish: 'adopt', containerId: id.slice(0, 11), atOnce: false }, 'ops');
      expect(await commit(drain('adopt', id))).toMatchObject({ refused: 'still-wanted' });
      await store.wish(user, { wish: 'adopt', containerId: id.slice(0, 12), atOnce: false }, 'ops');
      expect(await commit(drain('adopt', `f${id.slice(1)}`))).toMatchObject({ refused: 'still-wanted' });
      expect(await commit(drain('adopt', id))).toEqual(ok);
    });

    test.each(['stopped', 'duplicate'] as const)('%s needs the lead and the version only', async (cause) => {
      const { take, lead, commit } = world();
      await take('j1');
      await lead();
      expect(await commit(drain(cause), { version: 7 })).toMatchObject({ refused: 'stale' });
      expect(await commit(drain(cause))).toEqual(ok);
    });

    test('a drain that has begun goes on although a lease came', async () => {
      const { take, commit } = world();
      await idleBox();
      expect(await commit(drain('idle'), { phase: 'reaping' })).toEqual(ok);
      await take('j2');
      expect(await commit(nothing, { phase: 'reaping' })).toEqual(ok);
      expect(await commit(drain('idle'), { phase: 'reaping' })).toEqual(ok);
      expect(await commit(drain('idle', 'c2'), { phase: 'reaping' })).toMatchObject({ refused: 'still-wanted' });
    });

    test('a status that says "reaping" without a permitted drain permits none', async () => {
      const { take, lead, commit } = world();
      await take('j1');
      await lead();
      expect(await commit(nothing, { phase: 'reaping' })).toEqual(ok);
      expect(await commit(drain('idle'), { phase: 'reaping' })).toMatchObject({ refused: 'still-wanted' });
    });
  });

  describe('forgetting', () => {
    async function deletedUser(): Promise<void> {
      const { take, store, user, lead, commit } = world();
      await take('j1');
      await store.putSession(sessionOf(user));
      await lead();
      await commit(nothing);
      await store.wish(user, { wish: 'delete' }, 'ops');
    }

    test('removes desired state, leases, sessions and status; what happened can be asked for a week', async () => {
      const { commit, store, stored, own, command, keys } = world();
      await deletedUser();
      expect(await commit({ kind: 'forget' })).toEqual(ok);
      const left = [...(await stored()).keys()].filter((key) => key.includes(':u:'));
      expect(left).toEqual([own.events]);
      expect(Number(await command('TTL', own.events))).toBeGreaterThan(6 * 24 * 3_600);
      expect(await store.users()).toEqual([]);
      expect(await command('EXISTS', keys.users)).toBe(0);
    });

    test('leaves the vault, and the user in the index because of it', async () => {
      const { commit, store, own, command, user } = world();
      await deletedUser();
      await command('HSET', own.vault, 'revision', '7', 'f:.bashrc', 'encrypted');
      expect(await commit({ kind: 'forget' })).toEqual(ok);
      expect(await pairs(command, own.vault)).toEqual([
        ['revision', '7'],
        ['f:.bashrc', 'encrypted'],
      ]);
      expect(await store.users()).toEqual([user]);
    });

    test('is refused when a newer lease came, and to a user that nobody deleted', async () => {
      const { commit, take, release, read } = world();
      await deletedUser();
      await take('j2');
      expect(await commit({ kind: 'forget' })).toMatchObject({ refused: 'still-wanted' });
      await release('j2');
      expect(await commit({ kind: 'forget' })).toMatchObject({ refused: 'still-wanted' });
      expect((await read()).desired).not.toBe(null);
    });

    test('a user who comes back keeps the history for good', async () => {
      const { commit, take, command, own } = world();
      await deletedUser();
      await commit({ kind: 'forget' });
      await take('j3');
      await commit(nothing);
      expect(await command('TTL', own.events)).toBe(-1);
    });
  });
}

/** Commands fail at once while the connection is down; it comes back by itself. */
export async function reconnected({ redis }: Pick<World, 'redis'>): Promise<void> {
  await expect.poll(async () => await redis.runId().catch(() => '')).not.toBe('');
}
