import { describe, expect, test } from 'vitest';
import { createHomeStore, type HomeStore } from '../../controller/src/store/home-store.ts';
import { hour, minute, type World } from './box-store-world.ts';

/** What is kept of homes: who looks, what was told, and that damage costs no more than this knowledge. */
export function homeContract(world: () => World): void {
  function homes(): HomeStore {
    return createHomeStore(world());
  }

  describe('homes', () => {
    test('one look begins, and not again before its time', async () => {
      const { user, keys, command } = world();
      const looks = await Promise.all([1, 2, 3].map(() => homes().beginLook(user, hour)));
      expect(looks.filter((mayLook) => mayLook)).toHaveLength(1);
      const began = Number(await command('HGET', keys.homeLooks, user));
      await command('HSET', keys.homeLooks, user, `${began - 11 * minute}`);
      expect(await homes().beginLook(user, hour)).toBe(false);
      expect(await homes().beginLook(user, 10 * minute)).toBe(true);
      expect(await homes().beginLook(user, 10 * minute)).toBe(false);
    });

    test('a look that began in the future was written by a wrong clock', async () => {
      const { user, keys, command } = world();
      await command('HSET', keys.homeLooks, user, '99999999999999');
      expect(await homes().beginLook(user, hour)).toBe(true);
    });

    test('what a look told is read with the box, with its time, and wakes who waits', async () => {
      const { user, store, read } = world();
      const before = await read();
      expect(before).toMatchObject({ homeUsage: null });
      const heard: string[] = [];
      const end = await store.subscribe(
        'wake',
        (name) => void heard.push(name),
        () => {},
      );
      await homes().put(user, 'default', { usedBytes: 12_345_678_901_234, isWhole: true });
      const { now, homeUsage } = await read();
      const told = { user, class: 'default', usedBytes: 12_345_678_901_234, isWhole: true, problem: '' };
      expect(homeUsage).toEqual({ ...told, measuredAt: expect.any(Number) });
      expect(homeUsage?.measuredAt).toBeGreaterThanOrEqual(before.now);
      expect(homeUsage?.measuredAt).toBeLessThanOrEqual(now);
      expect(await homes().all()).toEqual([homeUsage]);
      await expect.poll(() => heard).toEqual([user]);
      await end();
    });

    test('a look that told nothing leaves what was told before, and says why', async () => {
      const { user, read } = world();
      await homes().put(user, 'default', { problem: 'no du' });
      const nothing = { usedBytes: null, measuredAt: null, problem: 'no du' };
      expect((await read()).homeUsage).toMatchObject(nothing);
      await homes().put(user, 'default', { usedBytes: 4_096, isWhole: false });
      const { homeUsage } = await read();
      expect(homeUsage).toMatchObject({ usedBytes: 4_096, isWhole: false, problem: '' });
      await homes().put(user, 'small', { problem: 'too slow' });
      expect((await read()).homeUsage).toEqual({ ...homeUsage, class: 'small', problem: 'too slow' });
    });

    test('damage costs this knowledge alone, and a home can be looked at again', async () => {
      const { user, keys, command, read, take } = world();
      await take('j1');
      for (const [key, value] of [
        [keys.homeUsage, 'no JSON'],
        [keys.homeUsage, '{"usedBytes":"many"}'],
        [keys.homeLooks, '-1e3'],
      ] as const) {
        await command('HSET', key, user, value);
        expect(await read()).toMatchObject({ homeUsage: null, leases: [{ id: 'j1' }] });
        expect(await homes().all()).toEqual([]);
      }
      expect(await homes().beginLook(user, hour)).toBe(true);
      for (const key of [keys.homeUsage, keys.homeLooks]) {
        await command('DEL', key);
        await command('SET', key, 'of another type');
      }
      expect(await read()).toMatchObject({ homeUsage: null, leases: [{ id: 'j1' }] });
      expect(await homes().beginLook(user, hour)).toBe(true);
      await homes().put(user, 'default', { usedBytes: 0, isWhole: true });
      expect((await read()).homeUsage).toMatchObject({ usedBytes: 0 });
    });
  });
}
