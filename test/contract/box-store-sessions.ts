import { describe, expect, test } from 'vitest';
import { sweeper } from '#shared/box-store.ts';
import { minute, pairs, sessionOf, whenTold, type World } from './box-store-world.ts';

/** Whose a terminal session is: one gateway's, until it lets go, dies, or is asked to hand it over. */
export function sessionContract(world: () => World): void {
  const ticket = { hash: 'h1', mode: 'ro', name: 'bob' } as const;
  const g1 = { id: 'g1', address: '127.0.0.1:1', fingerprint: 'f' };
  const g2 = { id: 'g2', address: '127.0.0.1:2', fingerprint: 'f' };

  async function events(): Promise<string[]> {
    return (await world().store.events(world().user, 300)).map(({ reason, by }) => `${reason} ${by}`);
  }

  /** The gateway's own lease ends now. */
  async function dies(gateway: string): Promise<void> {
    const { command, keys } = world();
    const known = new Map(await pairs(command, keys.gateways)).get(gateway) ?? '{}';
    await command('HSET', keys.gateways, gateway, JSON.stringify({ ...JSON.parse(known), expiresAt: 1 }));
  }

  describe('a terminal session', () => {
    test('is kept until it ends, makes no desired state, and is told once each', async () => {
      const { store, user, read } = world();
      const session = sessionOf(user, { persist: 'tmux', detachedAt: 7, tickets: [ticket] });
      expect(await store.claimSession(session, false, 'a terminal was opened')).toEqual({ ok: true, before: null });
      expect(await store.putSession(session)).toBe(true);
      expect(await read()).toMatchObject({ sessions: [session], desired: null, wantedUntil: 0 });
      expect(await store.users()).toEqual([user]);
      expect(await store.endSession(session, 'the shell ended')).toBe(true);
      expect(await store.endSession(session, 'the shell ended')).toBe(false);
      expect((await read()).sessions).toEqual([]);
      expect(await events()).toEqual(['SessionEnded gateway', 'SessionStarted gateway']);
    });

    test('is news for who looks on; a gateway that has it has to act only where another one takes it', async () => {
      const { store, user } = world();
      const session = sessionOf(user, { persist: 'tmux' });
      const { told, end } = await whenTold(store, 'status', () => store.claimSession(session, false, ''));
      expect(await told(() => store.putSession({ ...session, detachedAt: 7 }))).toBe('later');
      expect(await told(() => store.claimSession({ ...session, id: 's2' }, false, ''))).toBe('later');
      expect(await told(() => store.claimSession({ ...session, gateway: 'g2' }, true, ''))).toBe('now');
      await end();
    });

    test('of a gateway that lives is refused to another one, with its address', async () => {
      const { store, user, read } = world();
      const session = sessionOf(user);
      await store.registerGateway(g1, minute);
      await store.claimSession(session, false, '');
      const refused = await store.claimSession({ ...session, gateway: 'g2' }, false, 'never');
      expect(refused).toEqual({ ok: false, refused: 'elsewhere', gateway: 'g1', address: '127.0.0.1:1' });
      expect((await read()).sessions).toEqual([session]);
      expect(await events()).toEqual([]);
      // Its own gateway may claim it again: a claim whose answer was lost is sent again.
      expect(await store.claimSession({ ...session, execId: 'e2' }, false, '')).toEqual({ ok: true, before: null });
      expect((await read()).sessions).toMatchObject([{ gateway: 'g1', execId: 'e2' }]);
    });

    test.each([
      ['whose own lease has ended', async () => await dies('g1')],
      ['that went', async ({ store }: World) => void (await store.registerGateway(g1, 0))],
      [
        'whose own lease cannot be read',
        async ({ command, keys }: World) => void (await command('HSET', keys.gateways, 'g1', '{"expiresAt":"soon"}')),
      ],
      [
        'that Redis has lost with all others',
        async ({ command, keys }: World) => void (await command('SET', keys.gateways, 'nonsense')),
      ],
    ])('of a gateway %s goes over, with what it left', async (_what, happens) => {
      const { store, user, read } = world();
      const place = { directory: 'packages/a', checkout: { spoon: 'shop', branch: 'fix/tax' } };
      const session = sessionOf(user, { persist: 'tmux', detachedAt: 7, tickets: [ticket], ...place });
      await store.registerGateway(g1, minute);
      await store.claimSession(session, false, '');
      await happens(world());
      const { directory: _, checkout: __, ...rest } = session;
      const next = { ...rest, gateway: 'g2', execId: 'e2', tickets: [] };
      expect(await store.claimSession(next, false, '')).toEqual({ ok: true, before: session });
      // Until the shell is resumed nothing of it is forgotten, also where the answer is lost and the claim comes again.
      expect((await read()).sessions).toEqual([{ ...session, gateway: 'g2' }]);
      expect(await store.claimSession(next, false, '')).toMatchObject({ ok: true, before: { tickets: [ticket] } });
      await store.putSession(next);
      expect((await read()).sessions).toEqual([next]);
    });

    test('goes over from a gateway that lives where that is asked for; then nothing of the one before counts', async () => {
      const { store, user, read } = world();
      const session = sessionOf(user);
      await store.registerGateway(g1, minute);
      await store.registerGateway(g2, minute);
      await store.claimSession(session, false, '');
      const next = { ...session, gateway: 'g2' };
      expect(await store.claimSession(next, true, '')).toEqual({ ok: true, before: session });
      expect(await store.putSession({ ...session, detachedAt: 9 })).toBe(false);
      expect(await store.endSession(session, 'too late')).toBe(false);
      expect((await read()).sessions).toEqual([next]);
      expect(await events()).toEqual([]);
    });

    test('is nobody’s while the sweep ends it, for so long at most', async () => {
      const { store, user, read, command, own } = world();
      const session = sessionOf(user, { persist: 'tmux', tickets: [ticket] });
      await store.claimSession(session, false, '');
      expect(await store.sweepSession({ ...session, gateway: 'g2' })).toBe(false);
      expect(await store.sweepSession(session)).toBe(true);
      expect(await store.sweepSession({ ...session, gateway: sweeper })).toBe(false);
      for (const takeOver of [false, true]) {
        for (const gateway of ['g1', 'g2']) {
          const refused = await store.claimSession({ ...session, gateway }, takeOver, 'never');
          expect(refused).toEqual({ ok: false, refused: 'ending' });
        }
      }
      expect(await store.putSession(session)).toBe(false);
      expect(await store.endSession(session, 'never')).toBe(false);
      const [swept] = (await read()).sessions;
      expect(swept).toMatchObject({ id: 's1', gateway: sweeper, containerId: session.containerId });
      // Whoever ended it has died; and Redis' clock was set back.
      for (const endingUntil of [1, (swept?.endingUntil ?? 0) + 10 * minute]) {
        await command('HSET', own.sessions, 's1', JSON.stringify({ ...swept, endingUntil }));
        expect(await store.sweepSession({ ...session, gateway: sweeper })).toBe(true);
        await command('HSET', own.sessions, 's1', JSON.stringify({ ...swept, endingUntil }));
        expect(await store.claimSession(session, false, '')).toMatchObject({ ok: true });
        expect((await read()).sessions[0]?.endingUntil).toBe(undefined);
      }
      await store.sweepSession(session);
      expect(await store.endSession({ ...session, gateway: sweeper }, 'swept', 'spoonbox')).toBe(true);
      expect((await read()).sessions).toEqual([]);
      expect(await events()).toEqual(['SessionEnded spoonbox']);
    });

    test('without a record is the sweep’s only as long as it has none', async () => {
      const { store, user, read, command, own } = world();
      const session = sessionOf(user);
      const lost = { ...session, gateway: '' };
      await store.claimSession(session, false, '');
      expect(await store.sweepSession(lost)).toBe(false);
      await command('DEL', own.sessions);
      expect(await store.sweepSession(lost)).toBe(true);
      expect(await store.claimSession(session, true, '')).toEqual({ ok: false, refused: 'ending' });
      expect((await read()).sessions).toMatchObject([{ id: 's1', gateway: sweeper }]);
    });

    test('whose record Redis lost, or cannot be read, is written again by its gateway', async () => {
      const { store, user, read, command, own } = world();
      const session = sessionOf(user);
      await store.claimSession(session, false, '');
      for (const damage of [['DEL'], ['SET', 'nonsense'], ['HSET', 's1', '{'], ['HSET', 's1', '{"gateway":1}']]) {
        const [name = '', ...rest] = damage;
        if (name === 'HSET') await command('DEL', own.sessions);
        await command(name, own.sessions, ...rest);
        expect(await store.putSession(session)).toBe(true);
        expect((await read()).sessions).toEqual([session]);
        await command('HSET', own.sessions, 's1', '[]');
        expect(await store.claimSession({ ...session, gateway: 'g2' }, false, '')).toEqual({ ok: true, before: null });
        await command('HSET', own.sessions, 's1', 'null');
        expect(await store.endSession(session, '')).toBe(true);
      }
    });

    test('one of two gateways that claim it at once has it', async () => {
      const { store, user, read } = world();
      const ids = ['g1', 'g2', 'g3', 'g4'];
      for (const id of ids) await store.registerGateway({ ...g1, id }, minute);
      const claims = await Promise.all(
        ids.map((gateway) => store.claimSession(sessionOf(user, { gateway }), false, '')),
      );
      const won = ids.filter((_id, index) => claims[index]?.ok);
      expect(won).toHaveLength(1);
      expect((await read()).sessions).toMatchObject([{ gateway: won[0] }]);
    });
  });

  test('the gateways are listed, those that live and those that died; nonsense among them hides nothing', async () => {
    const { store, command, keys } = world();
    expect((await store.gateways()).gateways).toEqual([]);
    await store.registerGateway(g1, minute);
    await store.registerGateway(g2, minute);
    await dies('g1');
    await command('HSET', keys.gateways, 'g3', 'no json');
    const { now, gateways } = await store.gateways();
    expect(gateways.map(({ expiresAt, ...rest }) => ({ ...rest, lives: expiresAt > now }))).toEqual(
      expect.arrayContaining([
        { ...g1, lives: false },
        { ...g2, lives: true },
      ]),
    );
    expect(gateways).toHaveLength(2);
    expect(gateways.find(({ id }) => id === 'g2')?.expiresAt).toBeLessThanOrEqual(now + minute);
  });
}
