import { describe, expect, test } from 'vitest';
import { ClassName, LeaseId, UserName } from '#shared/identity.ts';
import { emptyBody, hour, leaseOf, minute, untilHeard, whenTold, type World } from './box-store-world.ts';

/** Taking, renewing, giving back; activity; and until when all of that holds a box. */
export function leaseContract(world: () => World): void {
  const events = async () => (await world().store.events(world().user, 300)).map(({ reason }) => reason);

  describe('taking', () => {
    test('makes the lease, the desired state and the entry in the user index, and tells the phase', async () => {
      const { take, read, store, user } = world();
      const lease = await take('j1');
      expect(lease).toMatchObject({ leaseId: 'j1', phase: 'absent', containerId: '', expiresAt: lease.now + 60_000 });
      const record = await read();
      expect(record.leases).toMatchObject([{ id: 'j1', kind: 'job', holder: 'agent-7', ttlMs: 60_000 }]);
      expect(record.desired).toMatchObject({
        class: 'default',
        generation: lease.generation,
        lastActivityAt: lease.now,
      });
      expect(record.desired?.lastActivityCause).toBe('lease-taken');
      expect(await store.users()).toEqual([user]);
      expect(await events()).toEqual(['LeaseTaken']);
    });

    test('again is the same lease: one entry, one event, no new generation, and it never gets shorter', async () => {
      const { take, read } = world();
      const first = await take('j1', { ttlMs: 300_000 });
      const again = await take('j1', { ttlMs: 10_000 });
      expect([again.expiresAt, again.generation]).toEqual([first.expiresAt, first.generation]);
      expect((await read()).leases).toHaveLength(1);
      expect(await events()).toEqual(['LeaseTaken']);
      expect((await take('j1', { ttlMs: 300_000 })).expiresAt).toBeGreaterThanOrEqual(first.expiresAt);
    });

    test('tells phase and container that the leader wrote', async () => {
      const { take, lead, commit } = world();
      await take('j1');
      await lead();
      await commit({ kind: 'none' }, { phase: 'ready', containerId: 'c9' });
      expect(await take('t1', { kind: 'terminal' })).toMatchObject({ phase: 'ready', containerId: 'c9' });
    });

    test('tells what became of the box before, as far as that can be read', async () => {
      const { take, lead, commit, command, own } = world();
      expect((await take('j1')).past).toEqual({ lastReap: null, readyAt: null });
      await lead();
      const past = { lastReap: { cause: 'idle', at: 7_000, message: 'nobody needed it' }, readyAt: 9_000 } as const;
      await commit({ kind: 'none' }, { body: { ...emptyBody, ...past } });
      expect((await take('t1', { kind: 'terminal' })).past).toEqual(past);
      for (const damaged of ['', '{"lastReap":7}', '[']) {
        await command('HSET', own.status, 'body', damaged);
        expect(await take('t1', { kind: 'terminal' })).toMatchObject({
          ...{ phase: 'ready', past: { lastReap: null, readyAt: null } },
        });
      }
    });

    test('wakes whoever listens, also for a lease that is there', async () => {
      const { take, store, user } = world();
      const heard: string[] = [];
      let listening = false;
      const end = await store.subscribe(
        'wake',
        (who) => heard.push(who),
        () => (listening = true),
      );
      await untilHeard(heard, () => take('j1'));
      const before = heard.length;
      await take('j1');
      await expect.poll(() => heard.length).toBe(before + 1);
      expect(heard[0]).toBe(user);
      await end();
      expect(typeof listening).toBe('boolean');
    });

    test('tells that there is time exactly where a box is taken that is ready, and stays as it is', async () => {
      const { take, store, user, lead, commit } = world();
      const { told, end } = await whenTold(store, 'wake', () => take('j0'));
      expect(await told(() => take('j1'))).toBe('now');
      await lead();
      await commit({ kind: 'none' }, { phase: 'ready', containerId: 'c9' });
      expect(await told(() => take('t1', { kind: 'terminal' }))).toBe('later');
      expect(await told(() => take('t1', { kind: 'terminal' }))).toBe('later');
      for (const id of ['j0', 'j1', 't1'])
        expect(await told(() => store.release(user, LeaseId.parse(id), 'x'))).toBe('now');
      expect(await told(() => take('t2', { kind: 'terminal', class: ClassName.parse('other') }))).toBe('now');
      await end();
    });

    test('a name that differs from a known one by case is refused, with the known one, and leaves nothing', async () => {
      const { take, store, command, keys } = world();
      await take('j1');
      const other = UserName.parse('ALICE');
      expect(await store.take(leaseOf(other, 'j1'))).toEqual({
        ok: false,
        refused: 'name-differs-by-case',
        detail: 'alice',
      });
      expect(await store.wish(other, { wish: 'adopt', containerId: 'c', atOnce: false }, 'ops')).toMatchObject({
        refused: 'name-differs-by-case',
      });
      expect(await store.users()).toEqual(['alice']);
      expect(await command('EXISTS', keys.user(other).desired, keys.user(other).leases)).toBe(0);
    });

    test('a live lease of another kind or holder is not taken over', async () => {
      const { take, store, user } = world();
      await take('j1');
      const answer = await store.take(leaseOf(user, 'j1', { holder: 'agent-8' }));
      expect(answer).toEqual({ ok: false, refused: 'lease-mismatch', detail: 'job lease of agent-7' });
      expect(await store.take(leaseOf(user, 'j1', { kind: 'pin' }))).toMatchObject({ refused: 'lease-mismatch' });
    });

    test('the class changes only while nobody else holds the box, and then the generation grows', async () => {
      const { take, store, user, release, read } = world();
      const first = await take('j1');
      await take('j2');
      const refused = await store.take(leaseOf(user, 'j2', { class: 'small' }));
      expect(refused).toEqual({ ok: false, refused: 'class-held', detail: 'default' });
      await release('j1');
      expect((await take('j2', { class: 'small' })).generation).toBeGreaterThan(first.generation);
      expect((await read()).desired?.class).toBe('small');
      expect((await take('j3')).generation).toBe((await read()).desired?.generation);
    });

    test('tells the most that any live lease wants recorded, which a lease that is taken again never takes back', async () => {
      const { take, release, read, command, own } = world();
      expect((await take('j1')).record).toBe('off');
      expect((await take('j1', { record: 'output' })).record).toBe('output');
      expect((await take('t1', { kind: 'terminal' })).record).toBe('output');
      expect((await take('j2', { record: 'input' })).record).toBe('input');
      expect((await take('j1')).record).toBe('input');
      expect((await take('j2', { record: 'output' })).record).toBe('input');
      const wanted = (await read()).leases.map(({ id, record }) => [id, record ?? 'off']);
      expect(Object.fromEntries(wanted)).toEqual({ j1: 'output', t1: 'off', j2: 'input' });
      await release('j2');
      expect((await take('t1', { kind: 'terminal' })).record).toBe('output');
      const [lease] = (await read()).leases.filter(({ id }) => id === 'j1');
      await command('HSET', own.leases, 'j1', JSON.stringify({ ...lease, record: 'everything' }));
      expect((await take('t1', { kind: 'terminal' })).record).toBe('off');
      expect((await read()).leases.map(({ id }) => id).toSorted()).toEqual(['j1', 't1']);
    });

    test('keeps its checkout, and is not taken again with another one', async () => {
      const { take, renew, read, store, user, command, own } = world();
      const checkout = { spoon: 'größe', branch: 'a/b "c"', clone: { url: 'https://h/x', ref: 'main', depth: 0 } };
      await take('j1', { checkout });
      await renew('j1');
      await take('j1');
      const of = async (id: string) => (await read()).leases.find((lease) => lease.id === id)?.checkout;
      expect(await of('j1')).toEqual(checkout);
      await take('j1', { checkout: { spoon: 'größe', branch: 'a/b "c"' } });
      const other = await store.take(leaseOf(user, 'j1', { checkout: { ...checkout, branch: 'b' } }));
      const detail = 'job lease of agent-7 with another checkout';
      expect(other).toEqual({ ok: false, refused: 'lease-mismatch', detail });
      await take('j2');
      await take('j2', { checkout });
      expect(await of('j2')).toEqual(checkout);
      const [lease] = (await read()).leases.filter(({ id }) => id === 'j2');
      for (const damaged of ['x', 7, { spoon: '..', branch: '..' }, []]) {
        await command('HSET', own.leases, 'j2', JSON.stringify({ ...lease, checkout: damaged }));
        expect(await of('j2')).toBeUndefined();
        expect((await read()).leases).toHaveLength(2);
      }
    });

    test('one lease more than a user may hold is refused, an own one is still extended', async () => {
      const { take, store, user } = world();
      for (let n = 1; n <= 64; n += 1) await take(`j${n}`);
      expect(await store.take(leaseOf(user, 'j65'))).toEqual({ ok: false, refused: 'too-many-leases', detail: '64' });
      await take('j64');
    });
  });

  describe('renewing', () => {
    test('an unknown lease is not made, and nothing else is', async () => {
      const { renew, stored } = world();
      expect(await renew('j1', { inputAgeMs: 0, outputAgeMs: 0 })).toEqual({ ok: false, refused: 'lease-unknown' });
      expect((await stored()).size).toBe(0);
    });

    test('extends a live lease and never shortens it', async () => {
      const { take, store, user, passTime } = world();
      const id = LeaseId.parse('j1');
      await take('j1');
      await passTime(50_000);
      const renewed = await store.renew(user, id, null, { inputAgeMs: null, outputAgeMs: null });
      if (!renewed.ok) throw new Error(renewed.refused);
      expect(renewed.expiresAt).toBe(renewed.now + 60_000);
      expect(renewed.wantedUntil).toBe(renewed.expiresAt + 30 * minute);
      const shorter = await store.renew(user, id, 10_000, { inputAgeMs: null, outputAgeMs: null });
      expect(shorter).toMatchObject({ ok: true, expiresAt: renewed.expiresAt });
    });

    test.each([
      ['released', async ({ release }: World) => await release('j1')],
      ['expired', async ({ passTime }: World) => await passTime(61_000)],
      ['reaped', async ({ store, user }: World) => await store.wish(user, { wish: 'reap' }, 'ops')],
      ['deleted', async ({ store, user }: World) => await store.wish(user, { wish: 'delete' }, 'ops')],
    ])('a lease that was %s is not brought back; the reason is told', async (reason, end) => {
      const { take, renew, read } = world();
      await take('j1');
      await end(world());
      const generation = (await read()).desired?.generation;
      expect(await renew('j1', { inputAgeMs: 0 })).toEqual({ ok: false, refused: 'lease-ended', reason });
      const record = await read();
      expect(record.leases).toEqual([]);
      expect(record.ended).toMatchObject([{ id: 'j1', endReason: reason }]);
      expect(record.desired?.generation).toBe(generation);
    });

    test('after 10 minutes the reason is forgotten', async () => {
      const { take, release, renew, passTime, command, own } = world();
      await take('j1');
      await release('j1');
      await passTime(10 * minute - 2_000);
      expect(await renew('j1')).toMatchObject({ refused: 'lease-ended' });
      await passTime(3_000);
      expect(await renew('j1')).toMatchObject({ refused: 'lease-unknown' });
      expect(await command('HLEN', own.leases)).toBe(0);
    });

    test('a holder that takes and gives back without end does not fill Redis', async () => {
      const { take, release, command, own } = world();
      for (let n = 0; n < 300; n += 1) {
        await take(`j${n}`);
        await release(`j${n}`);
      }
      expect(Number(await command('HLEN', own.leases))).toBeLessThanOrEqual(258);
      expect(await world().renew('j299')).toMatchObject({ refused: 'lease-ended', reason: 'released' });
    });
  });

  describe('activity', () => {
    test('a lease that is given back counts at that moment; giving back twice does not', async () => {
      const { take, release, passTime, read } = world();
      await take('j1');
      await passTime(20_000);
      const before = await read();
      expect(await release('j1')).toBe(true);
      const { desired, now } = await read();
      expect(desired?.lastActivityCause).toBe('lease-released');
      expect(desired?.lastActivityAt).toBeGreaterThanOrEqual(before.now);
      expect(desired?.lastActivityAt).toBeLessThanOrEqual(now);
      await passTime(20_000);
      expect(await release('j1')).toBe(false);
      expect(await release('j2')).toBe(null);
      expect(now - ((await read()).desired?.lastActivityAt ?? 0)).toBeGreaterThan(15_000);
    });

    test('a lease that expires counts at the moment of its expiry, whenever somebody looks', async () => {
      const { take, passTime, read } = world();
      const lease = await take('j1');
      await passTime(5 * minute);
      const { desired, ended } = await read();
      expect(desired).toMatchObject({
        lastActivityAt: lease.expiresAt - 5 * minute,
        lastActivityCause: 'lease-expired',
      });
      expect(ended).toMatchObject([{ endReason: 'expired', endedAt: lease.expiresAt - 5 * minute }]);
    });

    test.each(['reap', 'delete'] as const)('a lease that a %s ended does not count', async (wish) => {
      const { take, passTime, read, store, user } = world();
      const lease = await take('p1', { kind: 'pin', ttlMs: hour });
      await passTime(20 * minute);
      await store.wish(user, { wish }, 'ops');
      const { desired, ended } = await read();
      expect(desired?.lastActivityAt).toBe(lease.now - 20 * minute);
      expect(ended).toMatchObject([{ endReason: wish === 'reap' ? 'reaped' : 'deleted' }]);
    });

    test('input and output count when they happened, and only forwards', async () => {
      const { take, renew, passTime, read } = world();
      await take('t1', { kind: 'terminal', ttlMs: 300_000 });
      await passTime(4 * minute);
      await renew('t1', { inputAgeMs: 60_000 });
      const { desired: typed, now } = await read();
      expect(typed?.lastActivityCause).toBe('input');
      expect(now - (typed?.lastActivityAt ?? 0)).toBeGreaterThanOrEqual(60_000);
      await renew('t1', { inputAgeMs: 120_000, outputAgeMs: 30_000 });
      const { desired } = await read();
      expect(desired?.lastActivityCause).toBe('output');
      expect(desired?.lastInputAt).toBe(typed?.lastInputAt);
      await renew('t1');
      expect((await read()).desired?.lastActivityAt).toBe(desired?.lastActivityAt);
    });

    test('output counts until 12 hours after the last input, and not longer', async () => {
      const { take, renew, command, own, read } = world();
      const { now } = await take('t1', { kind: 'terminal', ttlMs: 300_000 });
      const rewind = async (ms: number) =>
        await command('HSET', own.desired, 'lastInputAt', `${now - ms}`, 'lastActivityAt', `${now - ms}`);
      await rewind(12 * hour - minute);
      await renew('t1', { outputAgeMs: 0 });
      expect((await read()).desired?.lastActivityCause).toBe('output');
      await rewind(12 * hour + minute);
      await renew('t1', { outputAgeMs: 0 });
      expect((await read()).desired?.lastActivityAt).toBe(now - 12 * hour - minute);
    });

    test('looking is not activity and changes nothing', async () => {
      const { take, passTime, read, stored } = world();
      await take('j1');
      await passTime(30_000);
      const before = await stored();
      await read();
      await read();
      expect(await stored()).toEqual(before);
    });
  });

  describe('until when the box is wanted', () => {
    const [detached, attached] = [30 * minute, 8 * hour];

    test.each(['job', 'pin'] as const)('a live %s: its expiry and the detached time', async (kind) => {
      const { take, read } = world();
      const lease = await take('x', { kind, holder: 'h' });
      const record = await read();
      expect(record.wantedUntil).toBe(lease.expiresAt + detached);
      expect(record.holds).toEqual([{ by: kind, holder: 'h', untilMs: lease.expiresAt + detached }]);
    });

    test('an attached terminal: the last activity and the attached time', async () => {
      const { take, passTime, renew, read } = world();
      await take('t1', { kind: 'terminal', ttlMs: 300_000 });
      await passTime(4 * minute);
      await renew('t1', { inputAgeMs: 1_000 });
      const { desired, wantedUntil, holds } = await read();
      expect(wantedUntil).toBe((desired?.lastActivityAt ?? 0) + attached);
      expect(await renew('t1')).toMatchObject({ ok: true, wantedUntil });
      expect(holds).toEqual([{ by: 'attached', holder: 'input', untilMs: wantedUntil }]);
    });

    test('nobody: the last activity and the detached time', async () => {
      const { take, release, read, passTime } = world();
      await take('j1');
      await passTime(1_000);
      await release('j1');
      const { desired, wantedUntil, holds } = await read();
      expect(wantedUntil).toBe((desired?.lastActivityAt ?? 0) + detached);
      expect(holds).toEqual([{ by: 'activity', holder: 'lease-released', untilMs: wantedUntil }]);
    });

    test('of several holders the latest counts, and all are listed', async () => {
      const { take, renew, read, lead, commit } = world();
      const job = await take('j1');
      await take('t1', { kind: 'terminal', ttlMs: 30_000 });
      const pin = await take('p1', { kind: 'pin', holder: 'ops', ttlMs: 24 * hour });
      await lead();
      await commit({ kind: 'none' }, { keepUntil: job.now + 48 * hour, keepCause: 'amnesty' });
      const { wantedUntil, holds } = await read();
      expect(wantedUntil).toBe(job.now + 48 * hour);
      expect(await renew('t1')).toMatchObject({ ok: true, wantedUntil }); // a terminal is warned by it
      expect(Object.fromEntries(holds.map(({ by, untilMs }) => [by, untilMs]))).toEqual({
        job: job.expiresAt + detached,
        pin: pin.expiresAt + detached,
        attached: pin.now + attached,
        keep: job.now + 48 * hour,
      });
    });

    test('the class decides how long; one that is not known here has the fallback', async () => {
      const { take, read, command, own } = world();
      const lease = await take('j1', { class: 'small' });
      expect((await read()).wantedUntil).toBe(lease.expiresAt + 2 * minute);
      await command('HSET', own.desired, 'class', 'gone');
      expect((await read()).wantedUntil).toBe(lease.expiresAt + minute);
    });

    test('an unknown user is wanted by nobody and leaves no trace', async () => {
      const { read, stored } = world();
      expect(await read()).toMatchObject({ desired: null, leases: [], status: null, holds: [], wantedUntil: 0 });
      expect((await stored()).size).toBe(0);
    });
  });
}
