import { expect, test } from 'vitest';
import type { AccessStore, FoundToken } from '#shared/access-store.ts';
import { newApiToken } from '#shared/api-token.ts';
import { createTokenCheck, internalBearer, mayDo, rememberedMs } from '#shared/token-check.ts';
import { FakeClock } from '../support/fake-clock.ts';

const internalToken = 'the-internal-token-0123456789';

/** The tokens of Redis, as a test has them at the moment, with what was asked for. */
function world() {
  const clock = new FakeClock();
  const found = new Map<string, FoundToken | Error>();
  const asked: string[] = [];
  let answersAfterMs = 0;
  const nothing = (): never => {
    throw new Error('only looked up here');
  };
  const store: AccessStore = {
    makeToken: nothing,
    tokens: nothing,
    revokeToken: nothing,
    async findToken(token) {
      asked.push(token);
      const answer = found.get(token) ?? { ok: false, refused: 'token-wrong' };
      await clock.advance(answersAfterMs);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  const check = createTokenCheck({ internalToken, store, clock });
  return {
    ...{ clock, found, asked, check },
    slow: (ms: number) => {
      answersAfterMs = ms;
    },
    add(leftMs: number | null = null): { id: string; token: string } {
      const { id, token } = newApiToken();
      const view = { id, name: 'ci', role: 'jobs', createdAt: 1, expiresAt: null, lastUsedAt: null } as const;
      found.set(token, { ok: true, token: view, leftMs });
      return { id, token };
    },
  };
}

test('the internal token is admin, and nobody is asked', async () => {
  const { check, asked } = world();
  expect(await check.check(internalToken)).toEqual({ ok: true, bearer: internalBearer });
  expect(await check.check(`${internalToken}x`)).toEqual({ ok: false, refused: 'token-wrong' });
  expect(asked).toEqual([]);
});

test('what was right is looked up again 5 s after it was asked for, however long the answer took', async () => {
  const { check, asked, clock, add, found, slow } = world();
  const { token } = add();
  slow(2_000);
  expect((await check.check(token)).ok).toBe(true);
  found.set(token, { ok: false, refused: 'token-wrong' });
  await clock.advance(rememberedMs - 2_001);
  expect((await check.check(token)).ok).toBe(true);
  expect(asked).toHaveLength(1);
  await clock.advance(1);
  expect(await check.check(token)).toEqual({ ok: false, refused: 'token-wrong' });
});

test('what was wrong is looked up every time, and so is what was revoked here', async () => {
  const { check, asked, add, found } = world();
  const { token: wrong } = newApiToken();
  for (let n = 0; n < 3; n += 1) expect((await check.check(wrong)).ok).toBe(false);
  expect(asked).toHaveLength(3);
  const { id, token } = add();
  const other = add();
  for (const each of [token, other.token]) await check.check(each);
  check.forget(id);
  found.clear();
  expect((await check.check(token)).ok).toBe(false);
  expect((await check.check(other.token)).ok).toBe(true);
});

test('a token that expires within the 5 s is not remembered beyond that', async () => {
  const { check, add, found, clock } = world();
  const { token } = add(300);
  await check.check(token);
  found.set(token, { ok: false, refused: 'token-expired' });
  await clock.advance(299);
  expect((await check.check(token)).ok).toBe(true);
  await clock.advance(1);
  expect(await check.check(token)).toEqual({ ok: false, refused: 'token-expired' });
});

test('while Redis is silent only what was right just now passes', async () => {
  const { check, add, found, clock } = world();
  const [known, unknown] = [add(), add()];
  await check.check(known.token);
  for (const { token } of [known, unknown]) found.set(token, new Error('silent'));
  expect((await check.check(known.token)).ok).toBe(true);
  await expect(check.check(unknown.token)).rejects.toThrow('silent');
  await clock.advance(rememberedMs);
  await expect(check.check(known.token)).rejects.toThrow('silent');
});

test('each role may do what those before it may, and no more', () => {
  const roles = ['viewer', 'jobs', 'admin'] as const;
  expect(roles.map((has) => roles.map((needs) => mayDo(has, needs)))).toEqual([
    [true, false, false],
    [true, true, false],
    [true, true, true],
  ]);
});
