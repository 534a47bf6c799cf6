import { describe, expect, test } from 'vitest';
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
      await store.wish(user, { wish: 'delete' }, 'ops');
      const deleted = await read();
      expect(deleted.leases).toEqual([]);
      expect(deleted.now - (deleted.desired?.deletedAt ?? 0)).toBeLessThan(1_000);
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
