import { describe, expect, test } from 'vitest';
import { UserName } from '#shared/identity.ts';
import { hour, minute, pairs, sessionOf, type World } from './box-store-world.ts';

/** What operators wish, and what is kept beside the leases: history, tokens, gateways. */
export function wishContract(world: () => World): void {
  describe('an operator', () => {
    test('reaps and deletes: the leases end, the container of an older generation has to go', async () => {
      const { take, store, user, read } = world();
      const { generation } = await take('j1');
      await store.wish(user, { wish: 'reap' }, 'ops');
      const reaped = await read();
      expect(reaped.desired?.reapGeneration).toBeGreaterThan(generation);
      expect(reaped.desired?.generation).toBe(reaped.desired?.reapGeneration);
      expect(reaped.desired?.deletedAt).toBeUndefined();
      await take('j2');
      const before = await read();
      await store.wish(user, { wish: 'delete' }, 'ops');
      const deleted = await read();
      expect(deleted.leases).toEqual([]);
      expect(deleted.desired?.deletedAt).toBeGreaterThanOrEqual(before.now);
      expect(deleted.desired?.deletedAt).toBeLessThanOrEqual(deleted.now);
      expect(deleted.desired?.reapGeneration).toBeGreaterThan(reaped.desired?.reapGeneration ?? 0);
    });

    test('recreates and adopts: the leases stay', async () => {
      const { take, store, user, read } = world();
      const { generation } = await take('j1');
      await store.wish(user, { wish: 'recreate' }, 'ops');
      await store.wish(user, { wish: 'adopt', containerId: 'foreign', atOnce: true }, 'ops');
      const { desired, leases } = await read();
      expect(leases).toHaveLength(1);
      expect(desired?.recreateGeneration).toBeGreaterThan(generation);
      expect(desired).toMatchObject({ adoptContainerId: 'foreign', adoptAtOnce: true, reapGeneration: 0 });
    });

    test('a box that is not known is refused, except to adopt it, which leaves it time', async () => {
      const { store, user, read, stored } = world();
      expect(await store.wish(user, { wish: 'reap' }, 'ops')).toMatchObject({ refused: 'box-unknown' });
      expect((await stored()).size).toBe(0);
      await store.wish(user, { wish: 'adopt', containerId: 'c', atOnce: false }, 'ops');
      const { wantedUntil, now, desired } = await read();
      expect(wantedUntil).toBe(now + 30 * minute - (now - (desired?.lastActivityAt ?? 0)));
    });

    test('wishes for the desired state that was read, and for no other', async () => {
      const { take, store, user, read } = world();
      const { generation } = await take('j1');
      const wish = { wish: 'recreate' } as const;
      const refused = { ok: false, refused: 'precondition-failed', detail: String(generation) };
      expect(await store.wish(user, wish, 'ops', [generation - 1, generation + 1])).toEqual(refused);
      expect(await store.wish(user, wish, 'ops', [])).toEqual(refused);
      expect((await read()).desired).toMatchObject({ generation, recreateGeneration: 0 });
      expect(await store.wish(user, wish, 'ops', [1, generation])).toEqual({ ok: true });
      expect(await store.wish(user, wish, 'ops', [generation])).toMatchObject({ refused: 'precondition-failed' });
      expect(await store.wish(user, wish, 'ops', '*')).toEqual({ ok: true });
    });

    test('wishes for a box of which nothing is known yet, only while nothing is', async () => {
      const { store, user, stored } = world();
      const adopt = { wish: 'adopt', containerId: 'c', atOnce: false } as const;
      expect(await store.wish(user, adopt, 'ops', '*')).toMatchObject({ refused: 'precondition-failed', detail: '0' });
      expect((await stored()).size).toBe(0);
      expect(await store.wish(user, adopt, 'ops', [0])).toEqual({ ok: true });
      expect(await store.wish(user, adopt, 'ops', [0])).toMatchObject({ refused: 'precondition-failed' });
    });

    test('a lease that comes after a delete clears it', async () => {
      const { take, store, user, read } = world();
      await take('j1');
      await store.wish(user, { wish: 'delete' }, 'ops');
      await take('j2');
      const { desired } = await read();
      expect(desired?.deletedAt).toBeUndefined();
      expect(desired?.reapGeneration).toBe(desired?.generation);
    });

    test('the generation grows with every wish, past that of the container, and past what Redis lost', async () => {
      const { take, store, user, read, lead, commit, command, own } = world();
      const { generation, now } = await take('j1');
      expect(generation).toBeGreaterThanOrEqual(now);
      await lead();
      await commit({ kind: 'none' }, { containerGeneration: now + 1_000_000 });
      await store.wish(user, { wish: 'recreate' }, 'ops');
      expect((await read()).desired?.generation).toBe(now + 1_000_001);
      await command('DEL', own.desired);
      expect((await take('j1')).generation).toBe(now + 1_000_001);
    });
  });

  describe('beside the leases', () => {
    test('history is capped', async () => {
      const { store, user, command, own } = world();
      for (let n = 0; n < 500; n += 1) await store.claimSession(sessionOf(user), false, `event ${n}`);
      expect(Number(await command('XLEN', own.events))).toBeLessThanOrEqual(300);
      expect((await store.events(user, 1))[0]?.message).toBe('event 499');
    });

    test('the events of all users are in one order, and go on after any of them', async () => {
      const { store, user, command, keys } = world();
      const other = UserName.parse('bob');
      for (const [n, who] of [user, other, user, other].entries()) {
        await store.claimSession({ ...sessionOf(who), user: who }, true, `event ${n}`);
      }
      const all = await store.eventsAfter(null, '0-0', 10);
      expect(all.map((event) => `${event.user} ${event.message}`)).toEqual([
        'alice event 0',
        'bob event 1',
        'alice event 2',
        'bob event 3',
      ]);
      expect(await store.events(null, 2)).toEqual(all.slice(2).toReversed());
      for (const [n, { id }] of all.entries()) {
        expect(await store.eventsAfter(null, id, 10)).toEqual(all.slice(n + 1));
        expect(await store.eventsAfter(null, id, 1)).toEqual(all.slice(n + 1, n + 2));
      }
      expect((await store.eventsAfter(other, '0-0', 10)).map(({ message }) => message)).toEqual(['event 1', 'event 3']);
      await command('SET', keys.events, 'no stream');
      await store.claimSession(sessionOf(user), true, 'after damage');
      expect((await store.events(null, 10)).map(({ message }) => message)).toEqual(['after damage']);
    });

    test('a token id passes once', async () => {
      const { store, command, keys } = world();
      const passed = await Promise.all(Array.from({ length: 20 }, () => store.useToken('jti-1', 60_000)));
      expect(passed.filter(Boolean)).toHaveLength(1);
      expect(Number(await command('PTTL', keys.usedToken('jti-1')))).toBeGreaterThan(50_000);
    });

    test('a gateway registers, renews, goes; one that has been gone for a day is dropped; the fingerprint is told', async () => {
      const { store, command, keys, lead } = world();
      const gateway = { id: 'g1', address: '127.0.0.1:1', fingerprint: 'g' };
      expect(await store.registerGateway(gateway, 30_000)).toBe('');
      await lead();
      expect(await store.registerGateway(gateway, 30_000)).toBe('f');
      const [[, json] = ['', '']] = await pairs(command, keys.gateways);
      const { expiresAt } = JSON.parse(json);
      await command('HSET', keys.gateways, 'g2', JSON.stringify({ expiresAt: expiresAt - 25 * hour }));
      await command('HSET', keys.gateways, 'g3', JSON.stringify({ expiresAt: expiresAt - 23 * hour }));
      await command('HSET', keys.gateways, 'g4', 'no json');
      await store.registerGateway(gateway, 30_000);
      expect((await pairs(command, keys.gateways)).map(([id]) => id).sort()).toEqual(['g1', 'g3']);
      await store.registerGateway(gateway, 0);
      expect((await pairs(command, keys.gateways)).map(([id]) => id)).toEqual(['g3']);
    });
  });
}
