import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ApiWorld, createApiWorld } from './api-world.ts';
import { boxes, watch } from './watching.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await createApiWorld();
});
afterEach(() => world.close());

const lease = (user: string, id = 'j1') =>
  world.ask('PUT', `/v1/boxes/${user}/leases/${id}`, { body: { kind: 'job', holder: 'agent-7', ttlMs: 60_000 } });

/** A watch that was told everything, and has broken off; answers with its last id. */
async function brokenOff(path = '/v1/boxes?watch=1'): Promise<string> {
  const before = await watch(world, path);
  await before.until('synced');
  await before.end();
  return before.lastId();
}

test('a watch that comes back is told exactly who changed meanwhile, each once, as it is by then', async () => {
  for (const user of ['ann', 'bob', 'cy', 'dan']) await lease(user);
  const lastId = await brokenOff();

  await world.commit('ann', { phase: 'provisioning' });
  await world.commit('cy', { phase: 'ready', containerId: 'c1' });
  await world.commit('ann', { phase: 'ready', containerId: 'c2' });
  await world.ask('DELETE', '/v1/boxes/dan');
  await world.forget('dan');

  const again = await watch(world, '/v1/boxes?watch=1', lastId);
  await again.until('synced');
  expect(again.told().toSorted()).toEqual(['box ann', 'box cy', 'removed dan', 'synced']);
  expect(boxes(again.events).every(({ phase }) => phase === 'ready')).toBe(true);
  await again.end();

  const quiet = await watch(world, '/v1/boxes?watch=1', again.lastId());
  await quiet.until('synced');
  expect(quiet.told()).toEqual(['synced']);
  await quiet.end();
});

test('a watch of one box is told of that one only', async () => {
  await lease('ann');
  await lease('bob');
  const lastId = await brokenOff('/v1/boxes/ann?watch=1');
  await world.commit('bob', { phase: 'ready', containerId: 'c1' });
  const unchanged = await watch(world, '/v1/boxes/ann?watch=1', lastId);
  await unchanged.until('synced');
  expect(unchanged.told()).toEqual(['synced']);
  await world.commit('ann', { phase: 'ready', containerId: 'c1' });
  await unchanged.until('box ann');
  await unchanged.end();
});

test('whoever breaks off at any event misses nothing', async () => {
  for (const user of ['ann', 'bob', 'cy']) await lease(user);
  const whole = await watch(world, '/v1/boxes?watch=1');
  await whole.until('synced');
  for (const user of ['ann', 'bob', 'ann', 'cy', 'bob']) {
    const before = whole.told();
    await world.commit(user, { phase: 'ready', containerId: `c-${before.length}` });
    await whole.until(`box ${user}`, before.filter((told) => told === `box ${user}`).length + 1);
  }
  await whole.end();
  const last = new Map(boxes(whole.events).map((box) => [box.user, box.containerId]));
  for (const [index, { id }] of whole.events.entries()) {
    const known = new Map(boxes(whole.events.slice(0, index + 1)).map((box) => [box.user, box.containerId]));
    const again = await watch(world, '/v1/boxes?watch=1', id);
    await again.until('synced');
    if (again.told()[0] === 'full') known.clear();
    for (const box of boxes(again.events)) known.set(box.user, box.containerId);
    expect(known, `after event ${index}, ${id}`).toEqual(last);
    await again.end();
  }
});

test.each([
  ['of another process', '00000000-5'],
  ['of an event before the full state was told', '0'],
  ['that is none', 'x'.repeat(200)],
])('an id %s leads to the full state, and says so first', async (_what, id) => {
  await lease('ann');
  const again = await watch(world, '/v1/boxes?watch=1', id);
  await again.until('synced');
  expect(again.told()).toEqual(['full', 'box ann', 'synced']);
  await again.end();
});

test('after a time without Redis, an id from before leads to the full state', async () => {
  await lease('ann');
  await lease('bob');
  const lastId = await brokenOff();
  const listening = await watch(world, '/v1/boxes/ann?watch=1');
  await listening.until('synced');
  const before = listening.told().filter((told) => told === 'box ann').length;
  await world.redis.restart();
  await listening.until('box ann', before + 1);
  const again = await watch(world, '/v1/boxes?watch=1', lastId);
  await again.until('synced');
  expect(again.told()[0]).toBe('full');
  await again.end();
  await listening.end();
});
