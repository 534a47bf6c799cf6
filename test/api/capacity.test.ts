import { afterAll, beforeAll, expect, test } from 'vitest';
import { CapacityView } from '#shared/operator-schemas.ts';
import type { Condition } from '#shared/status.ts';
import { type ApiWorld, createApiWorld } from './api-world.ts';

const gib = 1024 ** 3;
let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld({ limits: { boxes: 2, memoryBytes: 16 * gib } });
});
afterAll(() => world.close());

const lease = (user: string, priority?: string) =>
  world.ask('PUT', `/v1/boxes/${user}/leases/j1`, {
    body: { kind: 'job', holder: `agent of ${user}`, ttlMs: 300_000, ...(priority === undefined ? {} : { priority }) },
  });
const message = 'it waits for a place';
const wait: Condition = { type: 'Ready', status: 'False', reason: 'AdmissionWait', message, since: 1 };
const waits = { phase: 'absent' as const, message, conditions: [wait] };

test('who has a place and who waits are told by every process, the line in its order', async () => {
  for (const user of ['ann', 'bob']) await lease(user);
  await world.commit('ann', { phase: 'ready', step: 'active', containerId: 'c1' });
  await world.commit('bob', { phase: 'ready', step: 'idle', containerId: 'c2' });
  await world.ask('DELETE', '/v1/boxes/bob/leases/j1');
  for (const [user, priority] of [
    ['late', 'low'],
    ['cy', undefined],
    ['dan', 'high'],
  ] as const) {
    expect((await lease(user, priority)).status).toBe(200);
    await world.commit(user, waits);
  }
  const { json } = await world.ask('GET', '/v1/capacity');
  const view = CapacityView.parse(json);
  expect(view.limits).toEqual({ boxes: 2, memoryBytes: 16 * gib });
  expect(view.taken.boxes).toBe(2);
  expect(view.waiting.map(({ user, position, priority }) => [user, position, priority])).toEqual([
    ['dan', 1, 'high'],
    ['cy', 2, 'normal'],
    ['late', 3, 'low'],
  ]);
  expect(view.waiting[0]?.for).toEqual(['job of agent of dan']);
  expect(view.boxes.map(({ user, state, heldBy }) => [user, state, heldBy])).toEqual([
    ['ann', 'held', ['job of agent of ann']],
    ['bob', 'idle', []],
  ]);
  expect(view.boxes[1]?.givesWayAt).toBeGreaterThan(view.boxes[1]?.idleSince ?? 0);
});

test('who waits is told so where its box is looked at, and whose lease is taken', async () => {
  const box = (await world.ask('GET', '/v1/boxes/cy')).json;
  expect(box).toMatchObject({ phase: 'absent', ready: false, message: 'it waits for a place' });
  expect(JSON.stringify(box)).toContain('waits: it waits for a place');
  expect((await lease('cy')).json).toMatchObject({ ready: false, waitsFor: 'it waits for a place' });
});

test('a priority that there is not is refused', async () => {
  expect((await lease('eve', 'urgent')).status).toBe(400);
});
