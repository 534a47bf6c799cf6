import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiWorld, createApiWorld } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld({ apiRequestsPerS: 10 });
});
afterAll(() => world.close());

/** How many requests were counted, by their labels as they are written. */
async function counted(labels: string): Promise<number> {
  const { text } = await world.ask('GET', '/metrics');
  const line = text.split('\n').find((each) => each.startsWith(`spoonbox_http_requests_total{${labels}}`));
  return Number(line?.split(' ').at(-1) ?? 0);
}

test('a request that is refused because of who asks is counted like any other', async () => {
  const wrong = await world.ask('GET', '/v1/boxes', { headers: { authorization: 'Bearer wrong' } });
  expect(wrong.status).toBe(401);
  expect(await counted('method="GET",route="/v1/boxes",code="401"')).toBe(1);
});

test('one that comes too fast is counted too', async () => {
  const many = await Promise.all(Array.from({ length: 80 }, () => world.ask('GET', '/v1/classes')));
  const refused = many.filter(({ status }) => status === 429).length;
  expect(refused).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect(await counted('method="GET",route="/v1/classes",code="429"')).toBe(refused);
});

test('while Redis is down, so is one of whom it cannot be known', async () => {
  await world.redis.stop();
  const unknown = await world.ask('GET', '/v1/classes', {
    headers: { authorization: `Bearer sbx_aaaaaaaaaaaa_${'A'.repeat(43)}` },
  });
  expect(unknown.status).toBe(503);
  expect(await counted('method="GET",route="/v1/classes",code="503"')).toBe(1);
  await world.redis.restart();
});
