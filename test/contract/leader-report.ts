import { expect, test } from 'vitest';
import type { LoopHealth } from '#shared/operator-schemas.ts';
import type { World } from './box-store-world.ts';

const leader = { token: 'one', ttlMs: 60_000, holder: 'host:1', fingerprint: '' };
const loop: LoopHealth = {
  ...{ waiting: 3, processing: 2, scheduled: 10, longestWaitMs: 12.5 },
  passes: { count: 100, failed: 1, p50Ms: 2.1, p99Ms: 31.7 },
  ...{ lastResyncAgoMs: 1_000.25, lastResyncTookMs: null, amnesty: 'amnesty: Redis was restarted' },
  pacer: { mostPerMinute: 5, lastMinute: 0, waitMs: 0 },
};

/** What any process can ask of the leader: who it is, and how its loop does. */
export function leaderReportContract(world: () => World): void {
  test('where nobody ever led, nobody is told', async () => {
    expect(await world().leaderStore.report()).toMatchObject({ holder: '', lastBeatAt: null, loop: null });
  });

  test('the leader tells how its loop does with its heartbeat, to whoever asks', async () => {
    const { leaderStore } = world();
    await leaderStore.take(leader, 0);
    expect(await leaderStore.report()).toMatchObject({ holder: 'host:1', loop: null });
    const { now: renewedAt } = await leaderStore.renew(leader, loop);
    const report = await leaderStore.report();
    expect(report).toMatchObject({ holder: 'host:1', lastBeatAt: renewedAt, loop });
    expect(report.now).toBeGreaterThanOrEqual(renewedAt);
  });

  test('who asks does not lead by it, and renews nothing', async () => {
    const { leaderStore } = world();
    await leaderStore.take(leader, 0);
    const before = await leaderStore.look(leader);
    await leaderStore.report();
    expect(await leaderStore.look(leader)).toMatchObject({ counter: before.counter, previousAt: before.previousAt });
  });

  test('what the last leader told is not the next one’s', async () => {
    const { leaderStore } = world();
    await leaderStore.take(leader, 0);
    await leaderStore.renew(leader, loop);
    await leaderStore.release(leader);
    expect(await leaderStore.report()).toMatchObject({ holder: '' });
    const { counter } = await leaderStore.look(leader);
    await leaderStore.take({ ...leader, token: 'two', holder: 'host:2' }, counter);
    expect(await leaderStore.report()).toMatchObject({ holder: 'host:2', loop: null });
  });

  test('a report that somebody damaged is none', async () => {
    const { leaderStore, command, keys } = world();
    await leaderStore.take(leader, 0);
    await command('HSET', keys.heartbeat, 'loop', '{"waiting":"many"}');
    expect(await leaderStore.report()).toMatchObject({ holder: 'host:1', loop: null });
  });
}
