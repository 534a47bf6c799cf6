import { describe, expect, test } from 'vitest';
import { nothing, type World } from './box-store-world.ts';

/** What an operator lets the reconciler do, and the history that it leaves. */
export function modeContract(world: () => World): void {
  describe('the mode of the reconciler', () => {
    test('is run where nobody ever set one, and asking leaves nothing behind', async () => {
      const { store, read, stored } = world();
      const none = { mode: 'run', reason: '', by: '', since: 0 };
      expect((await store.mode()).mode).toEqual(none);
      expect((await read()).mode).toEqual(none);
      expect((await stored()).size).toBe(0);
    });

    test('is what was set last, with who, why and when, for every user', async () => {
      const { store, read } = world();
      await store.setMode({ mode: 'drain', reason: 'the disk is changed' }, 'ops');
      const { now, mode } = await store.setMode({ mode: 'pause' }, 'ann');
      expect(mode).toEqual({ mode: 'pause', reason: '', by: 'ann', since: now });
      expect((await store.mode()).mode).toEqual(mode);
      expect((await read()).mode).toEqual(mode);
    });

    test('is set only where it was set at a time that is named, if any is', async () => {
      const { store } = world();
      expect(await store.setMode({ mode: 'drain' }, 'ops', [1])).toMatchObject({ set: false, mode: { mode: 'run' } });
      const { set, mode } = await store.setMode({ mode: 'drain' }, 'ops', [7, 0]);
      expect([set, mode.mode]).toEqual([true, 'drain']);
      const refused = await store.setMode({ mode: 'pause' }, 'ann', [mode.since - 1]);
      expect(refused).toMatchObject({ set: false, mode });
      expect(await store.setMode({ mode: 'pause' }, 'ann', [])).toMatchObject({ set: false, mode });
      expect((await store.setMode({ mode: 'pause' }, 'ann', [mode.since])).set).toBe(true);
      expect((await store.setMode({ mode: 'run' }, 'ann')).set).toBe(true);
    });

    test('wakes everybody when it changes', async () => {
      const { store } = world();
      const heard: string[] = [];
      let told = 0;
      const end = await store.subscribe(
        'wake',
        (who) => heard.push(who),
        () => {
          told += 1;
        },
      );
      // The subscription itself may begin with one.
      for (let tries = 0; tries < 200 && told < 3; tries += 1) {
        await store.setMode({ mode: 'drain' }, 'ops');
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(told).toBe(3);
      expect(heard).toEqual([]);
      await end();
    });

    test('of another kind than the pass read refuses its commit, so that nothing of before happens any more', async () => {
      const { store, lead, commit, read } = world();
      await lead();
      await store.setMode({ mode: 'pause' }, 'ops');
      expect(await commit(nothing)).toEqual({ ok: false, refused: 'stale', detail: 'the mode is pause' });
      expect((await read()).status).toBe(null);
      expect(await commit(nothing, { mode: 'pause' })).toEqual({ ok: true });
    });

    test.each([
      ['of another type', ['SET', 'x']],
      ['without a mode', ['HSET', 'reason', 'x', 'by', 'ops', 'since', '1']],
      ['unknown', ['HSET', 'mode', 'stop', 'reason', '', 'by', 'ops', 'since', '1']],
      ['without its time', ['HSET', 'mode', 'pause', 'reason', '', 'by', 'ops']],
      ['of a time that is none', ['HSET', 'mode', 'pause', 'reason', '', 'by', 'ops', 'since', '1e9']],
      [
        'with a reason that nobody could have given',
        ['HSET', 'mode', 'pause', 'reason', 'x'.repeat(2_000), 'by', 'ops', 'since', '1'],
      ],
    ])('that is damaged (%s) is run again, and says so to whoever asks', async (_how, [command = '', ...words]) => {
      const { store, read, keys, command: run } = world();
      const before = await read();
      await run(command, keys.mode, ...words);
      const { mode, now } = await read();
      expect(mode).toMatchObject({ mode: 'run', by: 'spoonbox', reason: 'the stored mode could not be read' });
      expect(mode.since).toBeGreaterThanOrEqual(before.now);
      expect(mode.since).toBeLessThanOrEqual(now);
      expect((await store.mode()).mode).toEqual(mode);
      await store.setMode({ mode: 'pause' }, 'ops');
      expect((await read()).mode.mode).toBe('pause');
    });

    test('was not set in the future, whatever Redis’ clock did', async () => {
      const { store, keys, command } = world();
      await command('HSET', keys.mode, 'mode', 'drain', 'reason', '', 'by', 'ops', 'since', '99999999999999');
      const { now, mode } = await store.mode();
      expect(mode).toEqual({ mode: 'drain', reason: '', by: 'ops', since: now });
    });
  });

  describe('the history of a box', () => {
    const edge = { from: 'absent', to: 'provisioning.creating', rule: 'there is no container: create it' };

    test('tells the edge that the box took, where it took one', async () => {
      const { store, lead, commit, user } = world();
      await lead();
      await commit(nothing, { events: [{ reason: 'Step', message: edge.rule, edge }] });
      await commit(nothing, { events: [{ reason: 'Active', message: 'in use' }] });
      expect((await store.events(user, 2)).map((event) => event.edge)).toEqual([null, edge]);
    });

    test('is shown without an edge that cannot be read', async () => {
      const { store, user, own, command } = world();
      const event = { reason: 'Step', message: 'x', by: 'spoonbox', edge: { from: 7 } };
      await command('XADD', own.events, '*', 'event', JSON.stringify(event));
      expect(await store.events(user, 1)).toMatchObject([{ reason: 'Step', message: 'x', edge: null }]);
    });
  });

  describe('the leader’s report', () => {
    test('names who leads and when it was heard last, and nobody where nobody leads', async () => {
      const { leaderStore, lead } = world();
      const before = await leaderStore.report();
      expect(before).toMatchObject({ holder: '', lastBeatAt: null });
      await lead();
      const { now, holder, lastBeatAt } = await leaderStore.report();
      expect(holder).toBe('test');
      expect(lastBeatAt).toBeGreaterThanOrEqual(before.now);
      expect(lastBeatAt).toBeLessThanOrEqual(now);
      await leaderStore.release({ token: 'the-leader', ttlMs: 60_000, holder: 'test', fingerprint: 'f' });
      expect(await leaderStore.report()).toMatchObject({ holder: '', lastBeatAt });
    });

    test('asking whether Redis is trusted leads nothing', async () => {
      const { leaderStore, lead } = world();
      expect(await leaderStore.trusted()).toBe(false);
      await lead();
      expect(await leaderStore.trusted()).toBe(true);
      expect(await leaderStore.mark('the-leader', null)).toBe(true);
      expect(await leaderStore.trusted()).toBe(false);
    });
  });
}
