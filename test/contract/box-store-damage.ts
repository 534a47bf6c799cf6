import { describe, expect, test } from 'vitest';
import { createBoxStore } from '#shared/box-store.ts';
import { InstallationId, keysOf, LeaseId } from '#shared/identity.ts';
import {
  drain,
  emptyBody,
  hour,
  minute,
  nothing,
  pairs,
  type RedisHarness,
  sessionOf,
  type World,
} from './box-store-world.ts';

/**
 * Redis as an accident or an attacker leaves it: some keys of a user gone, of another type, full of nonsense, and its clock
 * moved. Two things must hold: a box that is wanted is not reaped for it, and no user is stuck.
 */
export function damageContract(world: () => World, harness: () => RedisHarness): void {
  /** A job that has run for hours: its last activity is long ago, its lease is live. */
  async function longJob(): Promise<void> {
    const { take, lead, commit, command, own } = world();
    const { now } = await take('j1', { ttlMs: 300_000 });
    await lead();
    await commit(nothing);
    await command('HSET', own.desired, 'lastActivityAt', `${now - 3 * hour}`, 'lastInputAt', `${now - 3 * hour}`);
  }

  async function isNotReaped(): Promise<void> {
    const { read, commit } = world();
    const { status } = await read();
    expect(await commit(drain('idle'), { version: status?.version ?? 0 })).toMatchObject({ refused: 'still-wanted' });
  }

  /** Every operation answers, and the holder has its box again after what a holder does: renew, else take. */
  async function isNotStuck(): Promise<void> {
    const { read, renew, take, release, store, user, commit } = world();
    await read();
    const renewed = await renew('j1', { inputAgeMs: 10, outputAgeMs: 10 });
    if (!renewed.ok) await take('j1', { ttlMs: 300_000 });
    const record = await read();
    expect(record.leases).toMatchObject([{ id: 'j1' }]);
    expect(record.desired).not.toBe(null);
    expect(record.wantedUntil).toBeGreaterThan(record.now);
    expect(await store.users()).toContain(user);
    expect(await commit(nothing, { body: emptyBody })).toEqual({ ok: true });
    expect(await store.claimSession(sessionOf(user), false, 'opened')).toEqual({ ok: true, before: null });
    expect(await store.putSession(sessionOf(user))).toBe(true);
    expect(await store.wish(user, { wish: 'recreate' }, 'ops')).toEqual({ ok: true });
    expect(await release('j1')).toBe(true);
    await read();
    expect((await store.events(user, 1))[0]?.reason).toBe('LeaseEnded');
  }

  describe('losing keys', () => {
    test('leases alone: the box is kept until the lost ones would have ended, and its time', async () => {
      const { command, own, read } = world();
      await longJob();
      await command('DEL', own.leases);
      const { holds, wantedUntil, now } = await read();
      expect(holds).toMatchObject([{ by: 'activity' }, { by: 'keep', holder: 'leases that Redis lost' }]);
      expect(wantedUntil).toBeGreaterThan(now + 30 * minute);
      await isNotReaped();
      await isNotStuck();
    });

    test('leases that ended in order leave no such time', async () => {
      const { take, release, command, own, read, store, user, passTime } = world();
      await take('p1', { kind: 'pin', ttlMs: 24 * hour });
      await take('j1');
      await release('p1');
      expect(await heldUntil()).toBe((await read()).leases[0]?.expiresAt);
      await passTime(61_000);
      await read();
      expect(await heldUntil()).toBe(0);
      await take('p2', { kind: 'pin', ttlMs: 24 * hour });
      await store.wish(user, { wish: 'reap' }, 'ops');
      expect(await heldUntil()).toBe(0);
      async function heldUntil(): Promise<number> {
        return Number(await command('HGET', own.desired, 'heldUntil'));
      }
    });

    test('desired state alone: leases hold the box, and the next renewal says to take again', async () => {
      const { command, own, renew } = world();
      await longJob();
      await command('DEL', own.desired);
      await isNotReaped();
      expect(await renew('j1', { inputAgeMs: 0 })).toEqual({ ok: false, refused: 'lease-unknown' });
      expect(await command('EXISTS', own.desired)).toBe(0);
      await isNotStuck();
    });

    test('status alone, and the user index: passes go on from nothing', async () => {
      const { command, own, keys } = world();
      await longJob();
      await command('DEL', own.status, keys.users);
      await isNotReaped();
      await isNotStuck();
    });

    test('the user index alone comes back with a renewal', async () => {
      const { command, keys, store, renew, user } = world();
      await longJob();
      await command('DEL', keys.users);
      await renew('j1');
      expect(await store.users()).toEqual([user]);
    });
  });

  describe('keys of another type', () => {
    test.each(['desired', 'leases', 'sessions', 'status', 'events'] as const)('%s', async (key) => {
      const { command, own } = world();
      await longJob();
      await command('SET', own[key], 'nonsense');
      await isNotReaped();
      await isNotStuck();
    });

    test('the user index, the leader, the heartbeat, the mark, the gateways', async () => {
      const { command, keys, take, store, leaderStore, commit, user, redis } = world();
      await longJob();
      await command('DEL', keys.users, keys.gateways);
      await command('SET', keys.users, 'x');
      await command('SET', keys.gateways, 'x');
      await take('j2');
      expect(await store.users()).toEqual([user]);
      await store.registerGateway({ id: 'g', address: '', fingerprint: '' }, 1_000);
      for (const key of [keys.leader, keys.heartbeat, keys.marker]) {
        await command('DEL', key);
        await command(...(key === keys.heartbeat ? ['SET', key, 'x'] : ['HSET', key, 'x', 'y']));
      }
      expect(await commit(drain('idle'))).toMatchObject({ ok: false });
      const candidate = { token: 'next', ttlMs: 60_000, holder: '', fingerprint: '' };
      const { counter } = await leaderStore.look(candidate);
      expect(await leaderStore.take(candidate, counter)).toMatchObject({ leads: true, marker: '' });
      expect(await leaderStore.mark('next', await redis.runId())).toBe(true);
    });
  });

  describe('nonsense in fields', () => {
    const huge = '9'.repeat(40);

    test.each(['x', '-5', '1e300', 'nan', 'inf', huge, '0x10', '1.5', ''])('numbers that read %j', async (nonsense) => {
      const { command, own } = world();
      const fields = [
        'lastActivityAt',
        'lastInputAt',
        'reapGeneration',
        'recreateGeneration',
        'deletedAt',
        'heldUntil',
      ];
      await longJob();
      for (const field of fields) await command('HSET', own.desired, field, nonsense);
      await isNotReaped();
      await isNotStuck();
      await command('HSET', own.desired, 'generation', nonsense);
      await isNotStuck();
      for (const field of ['version', 'keepUntil', 'containerGeneration']) {
        await command('HSET', own.status, field, nonsense);
        await isNotStuck();
      }
    });

    test.each([
      ['no JSON', '{'],
      ['null', 'null'],
      ['a number', '7'],
      ['an empty object', '{}'],
      ['another id', '{"id":"j2","kind":"job","holder":"h","takenAt":1,"expiresAt":2,"ttlMs":3}'],
      ['an unknown kind', '{"id":"j1","kind":"x","holder":"h","takenAt":1,"expiresAt":9999999999999,"ttlMs":3}'],
      ['a null holder', '{"id":"j1","kind":"job","holder":null,"takenAt":1,"expiresAt":9999999999999,"ttlMs":3}'],
      ['a huge time', '{"id":"j1","kind":"job","holder":"h","takenAt":1,"expiresAt":1e300,"ttlMs":3}'],
      ['a null end', '{"id":"j1","kind":"job","holder":"h","takenAt":1,"expiresAt":2,"ttlMs":3,"endedAt":null}'],
      ['nesting without end', '['.repeat(5_000)],
    ])(
      'a lease that is %s is dropped; that counts as activity, because its holder may be at work',
      async (_what, json) => {
        const { command, own, read } = world();
        await longJob();
        const before = await read();
        await command('HSET', own.leases, 'j1', json);
        const { desired, now } = await read();
        expect(desired).toMatchObject({ lastActivityCause: 'lease-unreadable' });
        expect(desired?.lastActivityAt).toBeGreaterThanOrEqual(before.now);
        expect(desired?.lastActivityAt).toBeLessThanOrEqual(now);
        await isNotReaped();
        await isNotStuck();
      },
    );

    test('desired state without a class or a generation is as good as lost', async () => {
      const { command, own } = world();
      await longJob();
      await command('HDEL', own.desired, 'class');
      await isNotStuck();
      await command('HDEL', own.desired, 'generation');
      await isNotStuck();
    });

    test('desired state without the cause of its last activity still takes another class', async () => {
      const { command, own, take, release, read } = world();
      await longJob();
      await release('j1');
      await command('HDEL', own.desired, 'lastActivityCause');
      await take('j1', { class: 'large' });
      expect((await read()).desired).toMatchObject({ class: 'large' });
      await isNotStuck();
    });

    test('a status body that is garbage is read as empty, with its version', async () => {
      const { command, own, read } = world();
      await longJob();
      await command('HSET', own.status, 'body', '{"value":');
      expect((await read()).status).toMatchObject({ version: 1, phase: 'ready', containerId: 'c1', value: null });
      await isNotStuck();
    });

    test('a status with an unknown phase, or without a field, is made again', async () => {
      const { command, own, read } = world();
      await longJob();
      await command('HSET', own.status, 'phase', 'elsewhere');
      expect((await read()).status).toBe(null);
      await isNotStuck();
      await command('HDEL', own.status, 'keepCause');
      await isNotStuck();
    });

    test('sessions, events and index entries that are nonsense hide nothing else', async () => {
      const { command, own, keys, read, store, user } = world();
      await longJob();
      await command('HSET', own.sessions, 'bad', '{"id":1}', 'worse', '{');
      await command('XADD', own.events, '*', 'other', 'by hand');
      await command('HSET', keys.users, 'x', '../../etc');
      expect((await read()).sessions).toEqual([]);
      expect((await store.events(user, 1))[0]).toMatchObject({ reason: 'Unreadable', message: 'other by hand' });
      expect(await store.users()).toEqual([user]);
      await isNotStuck();
    });

    test('a history that takes no more entries is begun again', async () => {
      const { command, own } = world();
      await longJob();
      await command('XADD', own.events, '18446744073709551615-18446744073709551615', 'event', '{}');
      await isNotStuck();
    });
  });

  describe('a clock that jumped', () => {
    test('back: what was written ahead of it holds a box no longer than a lease can', async () => {
      const { passTime, read } = world();
      await longJob();
      await passTime(-365 * 24 * hour);
      const { leases, now, desired, wantedUntil } = await read();
      expect(leases[0]?.expiresAt).toBeLessThanOrEqual(now + 300_000);
      expect(desired?.lastActivityAt).toBeLessThanOrEqual(now);
      expect(wantedUntil).toBeLessThanOrEqual(now + 300_000 + 30 * minute);
      await isNotReaped();
      await isNotStuck();
    });

    const heartbeats = [
      ['ahead: a heartbeat after it', 'renew', 11_000],
      ['back: a heartbeat after it', 'renew', -11_000],
      ['back: the next leader', 'take', -1_000],
      ['without a leader for more than a minute: the next leader', 'take', 61_000],
    ] as const;
    test.each(heartbeats)('%s takes the mark away in the same step', async (_when, mode, passedMs) => {
      const { keys, command, leaderStore, commit, take, release, passTime } = world();
      await take('j1');
      await release('j1');
      await world().lead();
      await commit(nothing);
      await passTime(hour);
      const beat = new Map(await pairs(command, keys.heartbeat));
      await command('HSET', keys.heartbeat, 'at', `${Number(beat.get('at')) - passedMs}`);
      const leader = { token: 'the-leader', ttlMs: 60_000, holder: 'test', fingerprint: 'f' };
      const next = { ...leader, token: 'the-next' };
      const reply = mode === 'renew' ? leaderStore.renew(leader) : leaderStore.take(next, Number(beat.get('counter')));
      expect(await reply).toMatchObject({ leads: true, marker: '' });
      const token = mode === 'renew' ? leader.token : next.token;
      expect(await commit(drain('idle'), { token })).toMatchObject({ refused: 'untrusted' });
    });
  });

  describe('many at once', () => {
    test('fifty clients take, renew, give back and reap without ever breaking what is stored', async () => {
      const { keys, store, user, read, stored } = world();
      const clients = Array.from({ length: 5 }, () => harness().connect());
      try {
        const stores = clients.map((redis) =>
          createBoxStore({ redis, keys, policies: { '*': [1, 1] }, defaultClass: 'default' }),
        );
        const kinds = ['job', 'terminal', 'pin'] as const;
        await Promise.all(
          Array.from({ length: 50 }, async (_, n) => {
            const mine = stores[n % stores.length] ?? store;
            const id = LeaseId.parse(`l${n % 30}`);
            for (let round = 0; round < 6; round += 1) {
              const kind = kinds[n % 3] ?? 'job';
              await mine.take({ user, id, kind, holder: `h${n % 30}`, ttlMs: 10_000 + n, class: null });
              await mine.renew(user, id, null, { inputAgeMs: n, outputAgeMs: round });
              if (round % 2 === 0) await mine.release(user, id, 'test');
              if (n === 0 && round === 3) await mine.wish(user, { wish: 'reap' }, 'ops');
              await mine.read(user);
            }
          }),
        );
      } finally {
        await Promise.all(clients.map((client) => client.close()));
      }
      const record = await read();
      expect(record.leases.length + record.ended.length).toBe(30);
      expect(new Set([...record.leases, ...record.ended].map(({ id }) => id)).size).toBe(30);
      expect(await store.users()).toEqual([user]);
      expect([...(await stored()).values()].flat().filter((value) => /[\d.]e\+\d/.test(value))).toEqual([]);
    });
  });

  test('every time that is stored or answered has its 13 digits', async () => {
    const { take, renew, release, read, lead, commit, store, user, stored, leaderStore } = world();
    const lease = await take('j1');
    await lead();
    await commit(nothing, { keepUntil: lease.now + hour, containerGeneration: lease.generation });
    const renewed = await renew('j1', { inputAgeMs: 3, outputAgeMs: 1 });
    await store.wish(user, { wish: 'recreate' }, 'ops');
    await release('j1');
    await store.wish(user, { wish: 'delete' }, 'ops');
    await store.registerGateway({ id: 'g', address: '', fingerprint: '' }, 1_000);
    const texts = [...(await stored()).values()].flat();
    const numbers = texts.flatMap((text) => text.match(/(?<![\w-])\d{5,}(\.\d+)?(e\+?\d+)?(?![\w-])/g) ?? []);
    expect(numbers.length).toBeGreaterThan(8);
    expect(numbers.filter((found) => !/^\d{13}$/.test(found) && found !== '60000')).toEqual([]);
    expect(texts.join(' ')).not.toMatch(/\de\+/);
    const { now } = await leaderStore.look({ token: 'x', ttlMs: 1, holder: '', fingerprint: '' });
    const answered = [now, lease.now, lease.expiresAt, lease.generation, (await read()).now];
    if (renewed.ok) answered.push(renewed.now, renewed.expiresAt);
    for (const time of answered) expect(String(time)).toMatch(/^\d{13}$/);
  });

  test('a reply of another shape is an error, never a guess', async () => {
    const { user, keys, redis } = world();
    for (const reply of [null, 1, '', '{}', '{"refused":"because"}', '[]', ['1'], ['x', [], [], [], [], [], 'y']]) {
      const store = createBoxStore({
        redis: { ...redis, run: async () => reply },
        keys,
        policies: { '*': [1, 1] },
        defaultClass: 'default',
      });
      await expect(
        store.take({ user, id: LeaseId.parse('j'), kind: 'job', holder: 'h', ttlMs: 1, class: null }),
      ).rejects.toThrow();
      await expect(store.renew(user, LeaseId.parse('j'), 1, { inputAgeMs: null, outputAgeMs: null })).rejects.toThrow();
      await expect(store.release(user, LeaseId.parse('j'), 'x')).rejects.toThrow();
      await expect(store.read(user)).rejects.toThrow();
    }
  });

  test('two installations in one Redis do not meet', async () => {
    const { take, keys } = world();
    await take('j1');
    const redis = harness().connect();
    const other = createBoxStore({
      ...{ redis, keys: keysOf(InstallationId.parse('somebody-else')), policies: { '*': [1, 1] } },
      defaultClass: 'default',
    });
    expect(await other.users()).toEqual([]);
    expect(keys.users).toMatch(/^\{spoonbox:[^}]+\}:/);
    await redis.close();
  });
}
