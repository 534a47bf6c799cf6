import { beforeEach, describe, expect, test } from 'vitest';
import { createRolloutStore, type RolloutStore } from '#shared/rollout-store.ts';
import { leaderToken, minute, sessionOf, type World } from './box-store-world.ts';

const ok = { ok: true };
const rollOut = { kind: 'drain', cause: 'rollout', containerId: 'c1' } as const;
const pulled = { image: 'a:1', state: 'pulled', progress: null, message: '' } as const;

/** When a box may be replaced because its image or class changed, and the rounds of pulls that bring newer images. */
export function rolloutContract(world: () => World): void {
  let rollouts: RolloutStore;
  beforeEach(() => {
    const { redis, keys } = world();
    rollouts = createRolloutStore(redis, keys);
  });

  describe('a rollout', () => {
    /** Somebody had a lease a minute ago; its idle time is not over. */
    async function letGo(): Promise<void> {
      const { take, release, passTime, lead } = world();
      await take('j1');
      await release('j1');
      await passTime(minute);
      await lead();
    }

    test('is allowed as soon as nobody holds the box, long before its idle time is over', async () => {
      await letGo();
      expect(await world().commit({ ...rollOut, cause: 'idle' })).toMatchObject({ refused: 'still-wanted' });
      expect(await world().commit(rollOut)).toEqual(ok);
    });

    test('is refused while any lease is live, and names its holder', async () => {
      await letGo();
      await world().take('j2', { holder: 'agent-9' });
      const refused = { refused: 'still-wanted', detail: 'held by a job lease of agent-9' };
      expect(await world().commit(rollOut)).toMatchObject(refused);
    });

    test('is refused while a terminal in this very container waits for its user', async () => {
      await letGo();
      const { store, user, commit } = world();
      const session = sessionOf(user, { id: 'other', containerId: 'another' });
      await store.claimSession(session, false, '');
      await store.claimSession(sessionOf(user, { id: 'away', containerId: 'c1' }), false, '');
      const refused = { refused: 'still-wanted', detail: 'held by a terminal whose user may come back' };
      expect(await commit(rollOut)).toMatchObject(refused);
      await store.endSession({ user, id: 'away', gateway: session.gateway }, '');
      expect(await commit(rollOut)).toEqual(ok);
    });

    test('is refused while time is granted, and while leases that Redis lost may be live', async () => {
      await letGo();
      const { commit, read, command, own, take } = world();
      const { now } = await read();
      const granted = { kind: 'none' } as const;
      await commit(granted, { keepUntil: now + minute, keepCause: 'amnesty' });
      expect(await commit(rollOut)).toMatchObject({ refused: 'still-wanted', detail: 'held by amnesty' });
      await commit(granted, { keepUntil: 0, keepCause: '' });
      await take('j3');
      await command('DEL', own.leases);
      expect(await commit(rollOut)).toMatchObject({ detail: 'held by leases that Redis lost' });
    });

    test('is refused where desired state or the trust in Redis was lost', async () => {
      await letGo();
      const { commit, leaderStore, command, own } = world();
      await leaderStore.mark(leaderToken, null);
      expect(await commit(rollOut)).toMatchObject({ refused: 'untrusted' });
      await world().lead();
      await command('DEL', own.desired);
      expect(await commit(rollOut)).toMatchObject({ refused: 'still-wanted' });
    });

    test('is refused while rollouts are paused, but one that has begun goes on', async () => {
      await letGo();
      const { commit, read } = world();
      const { pause } = await rollouts.pause({ paused: true, reason: 'a release' }, 'ops');
      expect(pause).toMatchObject({ paused: true, reason: 'a release', by: 'ops' });
      expect((await read()).rollout).toEqual(pause);
      expect(await commit(rollOut)).toMatchObject({ refused: 'still-wanted', detail: 'rollouts are paused' });
      expect((await rollouts.pause({ paused: false }, 'ann')).pause.paused).toBe(false);
      expect(await commit(rollOut, { phase: 'reaping' })).toEqual(ok);
      await rollouts.pause({ paused: true }, 'ops');
      expect(await commit(rollOut, { phase: 'reaping' })).toEqual(ok);
    });

    test('is not paused where nobody paused it, or what was stored cannot be read', async () => {
      const { read, command, keys } = world();
      const none = { paused: false, reason: '', by: '', since: 0 };
      expect((await read()).rollout).toEqual(none);
      await command('SET', keys.rollout, 'of another type');
      expect((await read()).rollout).toEqual(none);
      await command('HSET', keys.rollout, 'paused', '1', 'since', 'yesterday');
      expect((await rollouts.read()).pause).toEqual(none);
    });
  });

  describe('a round of pulls', () => {
    test('is what an operator asked for, until the leader reports its end; whoever asks meanwhile joins it', async () => {
      await world().lead();
      expect((await rollouts.read()).round).toBeNull();
      const askedAt = await rollouts.askPulls('ops');
      expect((await rollouts.read()).round).toEqual({ askedAt, by: 'ops', ended: false, images: [] });
      expect(await rollouts.askPulls('ann')).toBe(askedAt);
      expect(await rollouts.reportPulls(leaderToken, { askedAt, ended: true, images: [pulled] })).toBe(true);
      expect((await rollouts.read()).round).toEqual({ askedAt, by: 'ops', ended: true, images: [pulled] });
      const next = await rollouts.askPulls('ann');
      expect(next).toBeGreaterThan(askedAt);
      expect((await rollouts.read()).round).toEqual({ askedAt: next, by: 'ann', ended: false, images: [] });
    });

    test('is reported by nobody but the leader, and only as long as it is the one that is asked for', async () => {
      await world().lead();
      const askedAt = await rollouts.askPulls('ops');
      const report = { askedAt, ended: true, images: [] };
      expect(await rollouts.reportPulls('another', report)).toBe(false);
      expect(await rollouts.reportPulls(leaderToken, { ...report, askedAt: askedAt - 1 })).toBe(false);
      expect((await rollouts.read()).round?.ended).toBe(false);
    });

    test('of which the report was damaged is begun again', async () => {
      await world().lead();
      const askedAt = await rollouts.askPulls('ops');
      await world().command('HSET', world().keys.pullRound, 'report', '{');
      expect((await rollouts.read()).round).toEqual({ askedAt, by: 'ops', ended: false, images: [] });
    });
  });
}
