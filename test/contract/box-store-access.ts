import { describe, expect, test } from 'vitest';
import { type AccessStore, createAccessStore, maxApiTokens } from '#shared/access-store.ts';
import { hashOf, newApiToken, newSecret } from '#shared/api-token.ts';
import type { ApiTokenReply } from '#shared/operator-schemas.ts';
import { codeTtlMs, createLoginStore, type LoginStore, loginTtlMs } from '../../controller/src/store/login-store.ts';
import { hour, minute, type World } from './box-store-world.ts';

/** Who may ask the API: tokens, and the consoles that they let in. */
export function accessContract(world: () => World): void {
  const tokens = (): AccessStore => createAccessStore(world());
  const logins = (): LoginStore => createLoginStore(world());

  async function made(changes: { name?: string; ttlMs?: number } = {}): Promise<ApiTokenReply> {
    const reply = await tokens().makeToken({ name: 'ci', role: 'jobs', ...changes });
    if (reply === null) throw new Error('there is no room for a token');
    return reply;
  }
  async function recordOf(id: string): Promise<{ [field: string]: unknown }> {
    return JSON.parse(String(await world().command('HGET', world().keys.apiTokens, id)));
  }
  async function change(id: string, changes: object): Promise<void> {
    await world().command('HSET', world().keys.apiTokens, id, JSON.stringify({ ...(await recordOf(id)), ...changes }));
  }

  describe('a token of the API', () => {
    test('is found by itself and by nothing else, until it is revoked', async () => {
      const { token, ...view } = await made({ name: 'ci “of” é\u{1f600}' });
      expect(view).toMatchObject({ name: 'ci “of” é\u{1f600}', role: 'jobs', expiresAt: null, lastUsedAt: null });
      expect(await tokens().findToken(token)).toMatchObject({ ok: true, token: { id: view.id }, leftMs: null });
      const wrong = { ok: false, refused: 'token-wrong' };
      for (const other of [newApiToken().token, `sbx_${view.id}_${newSecret()}`, `${token}x`, '', view.id]) {
        expect(await tokens().findToken(other)).toEqual(wrong);
      }
      expect(await tokens().revokeToken(view.id)).toBe(true);
      expect(await tokens().revokeToken(view.id)).toBe(false);
      expect(await tokens().findToken(token)).toEqual(wrong);
      expect(await tokens().tokens()).toEqual([]);
    });

    test('is kept by its hash: who reads Redis cannot use it', async () => {
      const { token, id } = await made();
      expect(await recordOf(id)).toMatchObject({ hash: hashOf(token) });
      expect(JSON.stringify([...(await world().stored())])).not.toContain(token.slice(-43));
      expect(Object.keys((await tokens().tokens())[0] ?? {})).not.toContain('hash');
    });

    test('has its use noted at most once a minute, and none by a wrong secret', async () => {
      const { token, id, createdAt } = await made();
      await tokens().findToken(`sbx_${id}_${newSecret()}`);
      expect((await tokens().tokens())[0]?.lastUsedAt).toBeNull();
      await tokens().findToken(token);
      const [first] = await tokens().tokens();
      expect(first?.lastUsedAt).toBeGreaterThanOrEqual(createdAt);
      const used = first?.lastUsedAt ?? 0;
      for (const [at, isNoted] of [
        [used - minute / 2, false],
        [used - minute, true],
        [used + hour, true], // Redis' clock was set back
      ] as const) {
        await change(id, { lastUsedAt: at });
        await tokens().findToken(token);
        expect((await recordOf(id)).lastUsedAt !== at).toBe(isNoted);
      }
    });

    test('that has expired is told so for a day, and gives way to a new one after that', async () => {
      const { token, id, createdAt, expiresAt } = await made({ ttlMs: hour });
      expect(expiresAt).toBe(createdAt + hour);
      expect(await tokens().findToken(token)).toMatchObject({ ok: true, leftMs: expect.any(Number) });
      await change(id, { expiresAt: createdAt, lastUsedAt: 1 });
      expect(await tokens().findToken(token)).toEqual({ ok: false, refused: 'token-expired' });
      expect((await recordOf(id)).lastUsedAt).toBe(1);
      const { id: second } = await made();
      expect((await tokens().tokens()).map((each) => each.id)).toEqual([id, second]);
      await change(id, { expiresAt: createdAt - 25 * hour });
      const { id: third } = await made();
      expect((await tokens().tokens()).map((each) => each.id).toSorted()).toEqual([second, third].toSorted());
    });

    test('beyond the limit is refused, unless one has expired', async () => {
      const { id, token } = await made({ ttlMs: minute });
      const record = JSON.stringify({ ...(await recordOf(id)), expiresAt: undefined });
      const fields = Array.from({ length: maxApiTokens - 1 }, (_, n) => [String(n).padStart(12, 'x'), record]);
      await world().command('HSET', world().keys.apiTokens, ...fields.flat());
      expect(await tokens().makeToken({ name: 'one too many', role: 'viewer' })).toBeNull();
      expect((await tokens().findToken(token)).ok).toBe(true);
      await change(id, { expiresAt: 1_000_000_000_000 });
      expect(await tokens().makeToken({ name: 'in its place', role: 'viewer' })).not.toBeNull();
    });

    test('whose record cannot be read is as good as revoked, and hides no other', async () => {
      const { command, keys } = world();
      const [whole, damaged] = [await made(), await made()];
      for (const json of ['{', '[]', 'null', '{"hash":1}', JSON.stringify({ ...(await recordOf(whole.id)) })]) {
        await command('HSET', keys.apiTokens, damaged.id, json);
        expect(await tokens().findToken(damaged.token)).toEqual({ ok: false, refused: 'token-wrong' });
        expect((await tokens().tokens()).map(({ id }) => id)).toContain(whole.id);
        expect((await tokens().findToken(whole.token)).ok).toBe(true);
      }
      await command('DEL', keys.apiTokens);
      await command('SET', keys.apiTokens, 'nonsense');
      expect(await tokens().findToken(whole.token)).toEqual({ ok: false, refused: 'token-wrong' });
      expect((await tokens().findToken((await made()).token)).ok).toBe(true);
    });
  });

  describe('the login of a console', () => {
    const internal = { name: 'internal token (console)', tokenId: '', role: 'admin' } as const;

    test('begins with a code, which passes once, and ends when it is asked to', async () => {
      const { code } = await logins().makeCode(internal);
      const all = await Promise.all(Array.from({ length: 5 }, () => logins().logIn(code)));
      const [login, ...more] = all.filter((each) => each !== null);
      if (!login) throw new Error('nobody was let in');
      expect([login.name, login.tokenId, more]).toEqual([internal.name, '', []]);
      expect(await logins().find(login.cookie)).toMatchObject({ ...internal, expiresAt: login.expiresAt });
      expect(await logins().find(code)).toBeNull();
      expect(await logins().logIn(login.cookie)).toBeNull();
      await logins().logOut(login.cookie);
      expect(await logins().find(login.cookie)).toBeNull();
    });

    test('and its code are kept by their hash, and for their time only', async () => {
      const { command, keys, stored } = world();
      const { code, expiresAt } = await logins().makeCode(internal);
      expect(Number(await command('PTTL', keys.loginCode(hashOf(code))))).toBeGreaterThan(codeTtlMs - minute);
      expect(JSON.stringify([...(await stored())])).not.toContain(code);
      const login = await logins().logIn(code);
      if (!login) throw new Error('nobody was let in');
      expect(Number(await command('PTTL', keys.login(hashOf(login.cookie))))).toBeGreaterThan(loginTtlMs - minute);
      expect(login.expiresAt - loginTtlMs).toBeGreaterThanOrEqual(expiresAt - codeTtlMs);
      expect(JSON.stringify([...(await stored())])).not.toContain(login.cookie);
      await command('DEL', keys.login(hashOf(login.cookie)));
      expect(await logins().find(login.cookie)).toBeNull();
    });

    test.each([
      ['is revoked', async (id: string) => void (await tokens().revokeToken(id))],
      ['has expired', async (id: string) => await change(id, { expiresAt: 1_000_000_000_000 })],
      ['is lost', async () => void (await world().command('DEL', world().keys.apiTokens))],
    ])('ends when the token %s that let it in, and so does its code', async (_what, happens) => {
      const { id } = await made({ ttlMs: hour });
      const maker = { name: 'ci (console)', tokenId: id, role: 'viewer' } as const;
      const { code } = await logins().makeCode(maker);
      const login = await logins().logIn((await logins().makeCode(maker)).code);
      if (!login) throw new Error('nobody was let in');
      expect(await logins().find(login.cookie)).toMatchObject(maker);
      await happens(id);
      expect(await logins().find(login.cookie)).toBeNull();
      expect(await logins().logIn(code)).toBeNull();
    });

    test('that cannot be read is none', async () => {
      const { command, keys } = world();
      for (const json of ['{', '[]', '{"name":1,"tokenId":""}', '{"name":"x"}', '{"name":"x","tokenId":""}']) {
        const { code } = await logins().makeCode(internal);
        await command('SET', keys.loginCode(hashOf(code)), json);
        expect(await logins().logIn(code)).toBeNull();
        await command('SET', keys.login(hashOf('cookie')), json);
        expect(await logins().find('cookie')).toBeNull();
      }
    });
  });
}
