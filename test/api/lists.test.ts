import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BoxList } from '#shared/api-schemas.ts';
import { Problem } from '#shared/problem.ts';
import { type ApiWorld, createApiWorld } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
  for (const user of ['eve', 'ann', 'Dan', 'bob', 'cy']) await lease(user);
  await world.commit('ann', { phase: 'ready', step: 'active', containerId: 'c1' });
  await world.commit('bob', { phase: 'ready', step: 'idle', containerId: 'c2' });
  await world.commit('cy', { phase: 'failed' });
  await world.ask('DELETE', '/v1/boxes/bob/leases/j1');
});
afterAll(() => world.close());

const lease = (user: string) =>
  world.ask('PUT', `/v1/boxes/${user}/leases/j1`, {
    body: { kind: 'job', holder: 'agent-7', ttlMs: 300_000, class: user === 'eve' ? 'small' : 'default' },
  });
const page = async (query: string) => {
  const { status, json } = await world.ask('GET', `/v1/boxes?${query}`);
  expect(status).toBe(200);
  const { items, continue: next } = BoxList.parse(json);
  return { users: items.map(({ user }): string => user), next };
};
const refusal = async (query: string) => {
  const answer = await world.ask('GET', `/v1/boxes?${query}`);
  expect(answer.status).toBe(Problem.parse(answer.json).status);
  return Problem.parse(answer.json);
};

test('pages follow each other in the order of names, and have each box once', async () => {
  const seen: string[][] = [];
  let from = '';
  for (;;) {
    const { users, next } = await page(`limit=2${from}`);
    seen.push(users);
    if (next === null) break;
    from = `&continue=${next}`;
  }
  expect(seen).toEqual([['Dan', 'ann'], ['bob', 'cy'], ['eve']]);
});

test('a box that comes meanwhile moves none of the others', async () => {
  const { next } = await page('limit=2');
  await lease('aaa');
  expect((await page(`limit=2&continue=${next}`)).users).toEqual(['bob', 'cy']);
  await world.ask('DELETE', '/v1/boxes/aaa');
  await world.forget('aaa');
});

test('a page that is just full is the last one where nothing follows', async () => {
  expect((await page('limit=5')).next).toBeNull();
});

test.each([
  ['user=ann', ['ann']],
  ['phase=ready', ['ann', 'bob']],
  ['phase==ready,held=true', ['ann']],
  ['held=false', ['bob']],
  ['ready=true', ['ann', 'bob']],
  ['phase!=ready', ['Dan', 'cy', 'eve']],
  ['step=idle', ['bob']],
  ['class=small', ['eve']],
  ['class!=default , phase = absent', ['eve']],
  ['user=nobody', []],
  ['', ['Dan', 'ann', 'bob', 'cy', 'eve']],
])('selector %s', async (selector, users) => {
  expect((await page(`selector=${encodeURIComponent(selector)}`)).users).toEqual(users);
});

test('pages of a selection are filled with what is selected', async () => {
  const first = await page('limit=2&selector=phase!%3Dready');
  expect(first.users).toEqual(['Dan', 'cy']);
  expect((await page(`limit=2&selector=phase!%3Dready&continue=${first.next}`)).users).toEqual(['eve']);
});

describe('refused', () => {
  test.each(['colour=red', '__proto__=x', 'phase', 'phase>ready', 'phase=ready,', '=x', 'a=b=c', 'phase=(a b)'])(
    'selector %s, naming the keys',
    async (selector) => {
      const { status, code, detail } = await refusal(`selector=${encodeURIComponent(selector)}`);
      expect([status, code]).toEqual([400, 'selector-invalid']);
      expect(detail).toContain('user, class, phase, step, held, ready');
    },
  );

  test.each(['abc', 'YWZ0ZXIgLi4', '%00'])('a place that no page answered: %s', async (place) => {
    expect(await refusal(`continue=${place}`)).toMatchObject({ status: 400, code: 'continue-invalid' });
  });

  test.each(['limit=0', 'limit=501', 'limit=-1', 'limit=x', 'watch=1&selector=phase%3Dready', 'watch=1&limit=5'])(
    '%s',
    async (query) => {
      expect(await refusal(query)).toMatchObject({ status: 400, code: 'request-invalid' });
    },
  );
});
