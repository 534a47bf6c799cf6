import { afterAll, beforeAll, expect, test } from 'vitest';
import { Problem } from '#shared/problem.ts';
import { type ApiWorld, createApiWorld, token, until } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(() => world.close());

const job = { kind: 'job', holder: 'agent-7', ttlMs: 60_000 };

test('while Redis is down every route that needs it says so, and all work again by themselves', async () => {
  await world.ask('PUT', '/v1/boxes/ann/leases/j1', { body: job });
  await world.redis.stop();
  for (const [method, path, body] of [
    ['GET', '/v1/boxes', undefined],
    ['GET', '/v1/boxes/ann', undefined],
    ['GET', '/v1/boxes/ann/events', undefined],
    ['PUT', '/v1/boxes/ann/leases/j1', job],
    ['PUT', '/v1/boxes/ann/leases/j1?waitMs=5000', job],
    ['POST', '/v1/boxes/ann/leases/j1/renew', {}],
    ['DELETE', '/v1/boxes/ann/leases/j1', undefined],
    ['POST', '/v1/boxes/ann/actions', { action: 'reap' }],
    ['DELETE', '/v1/boxes/ann', undefined],
    ['GET', '/v1/plan', undefined],
    ['GET', '/v1/boxes/ann/plan', undefined],
  ] as const) {
    const answer = await world.ask(method, path, { body });
    const problem = Problem.parse(answer.json);
    expect([method, path, answer.status, problem.code]).toEqual([method, path, 503, 'redis-unavailable']);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(answer.text).not.toMatch(/ECONN|\.ts|at .*\(|ioredis/);
  }
  const watch = await fetch(`${world.url}/v1/boxes?watch=1`, { headers: { authorization: `Bearer ${token}` } });
  expect(await watch.text()).toContain('redis-unavailable');
  expect((await world.ask('POST', '/v1/boxes/ann/terminal-tokens')).status).toBe(200);
  expect((await world.ask('GET', '/v1/classes')).status).toBe(200);

  await world.redis.restart();
  const box = await until(async () => {
    const answer = await world.ask('GET', '/v1/boxes/ann');
    return answer.status === 200 && answer;
  }, 'Redis is used again');
  expect(box.json).toMatchObject({ user: 'ann', leases: [{ id: 'j1' }] });
});

test('a defect of ours is a 500 without a stack, and is in the log', async () => {
  const { store } = world;
  const read = store.read;
  store.read = () => Promise.reject(new SyntaxError('secret inner text'));
  const answer = await world.ask('GET', '/v1/boxes/ann');
  store.read = read;
  expect([answer.status, Problem.parse(answer.json).code]).toEqual([500, 'internal']);
  expect(answer.text).not.toContain('secret inner text');
  expect(world.logged.join('')).toContain('secret inner text');
});
