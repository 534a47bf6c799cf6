import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventList } from '#shared/api-schemas.ts';
import { Problem } from '#shared/problem.ts';
import { type ApiWorld, createApiWorld, token, until } from './api-world.ts';
import { watch } from './watching.ts';

let world: ApiWorld;
afterEach(() => world.close());
beforeEach(async () => {
  world = await createApiWorld({ watchLimits: { keepAliveMs: 15_000, stalledMs: 300, maxBufferedBytes: 16 * 1024 } });
});

const lease = (user: string, id = 'j1', holder = 'agent-7') =>
  world.ask('PUT', `/v1/boxes/${user}/leases/${id}`, { body: { kind: 'job', holder, ttlMs: 60_000 } });
const listed = async (path: string) => EventList.parse((await world.ask('GET', path)).json).items;

test('the events of all boxes come newest first, with the user of each', async () => {
  await lease('ann');
  await lease('bob');
  await world.ask('DELETE', '/v1/boxes/ann/leases/j1');
  const items = await listed('/v1/events');
  expect(items.map(({ user, reason }) => `${user} ${reason}`)).toEqual([
    'ann LeaseEnded',
    'bob LeaseTaken',
    'ann LeaseTaken',
  ]);
  expect(await listed('/v1/events?limit=1')).toEqual(items.slice(0, 1));
  expect((await listed('/v1/boxes/ann/events')).map(({ user }) => user)).toEqual(['ann', 'ann']);
});

test('a watch tells what happens from now on, and before that as many as were asked for', async () => {
  await lease('ann');
  await lease('bob');
  const fromNow = await watch(world, '/v1/events?watch=1');
  const withPast = await watch(world, '/v1/events?watch=1&limit=1');
  const ofAnn = await watch(world, '/v1/boxes/ann/events?watch=1&limit=5');
  await withPast.until('happened bob LeaseTaken');
  await ofAnn.until('happened ann LeaseTaken');
  await new Promise((resolve) => setTimeout(resolve, 100));
  await lease('ann', 'j2');
  await lease('cy');
  await fromNow.until('happened cy LeaseTaken');
  await withPast.until('happened cy LeaseTaken');
  await ofAnn.until('happened ann LeaseTaken', 2);
  expect(fromNow.told()).toEqual(['happened ann LeaseTaken', 'happened cy LeaseTaken']);
  expect(withPast.told()).toEqual(['happened bob LeaseTaken', ...fromNow.told()]);
  expect(ofAnn.told()).toEqual(['happened ann LeaseTaken', 'happened ann LeaseTaken']);
  await Promise.all([fromNow.end(), withPast.end(), ofAnn.end()]);
});

test('whoever comes back with an id gets exactly what came after it, however much that is', async () => {
  await lease('ann');
  const [first] = await listed('/v1/events');
  await Promise.all(Array.from({ length: 260 }, (_, n) => world.happen('bob', `event ${n}`)));
  const all = (await world.store.eventsAfter(null, '0-0', 1_000)).map(({ id }) => id);
  const again = await watch(world, '/v1/events?watch=1', first?.id);
  await until(() => again.lastId() === all.at(-1), 'all has come');
  expect(again.events.map(({ id }) => id)).toEqual(all.slice(1));
  await again.end();
  const last = await watch(world, '/v1/events?watch=1', again.events.at(-3)?.id);
  await until(() => last.lastId() === all.at(-1), 'the last ones come');
  expect(last.events.map(({ id }) => id)).toEqual(all.slice(-2));
  await last.end();
});

test('where some are not kept any more, that is told first', async () => {
  await lease('ann');
  const ancient = await watch(world, '/v1/events?watch=1', '1-1');
  await ancient.until('happened ann LeaseTaken');
  expect(ancient.told()).toEqual(['missed', 'happened ann LeaseTaken']);
  await ancient.end();
});

test('an id that is none is refused', async () => {
  for (const path of ['/v1/events?watch=1', '/v1/boxes/ann/events?watch=1']) {
    const answer = await world.ask('GET', path, { headers: { 'last-event-id': 'abc-1' } });
    expect([answer.status, Problem.parse(answer.json).code]).toEqual([400, 'request-invalid']);
  }
});

test('a reader that takes nothing is dropped, with the reason in the log', async () => {
  await lease('ann', 'j0', 'x'.repeat(100));
  const socket = connect(Number(new URL(world.url).port), '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  socket.write(`GET /v1/events?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  socket.pause();
  const message = 'x'.repeat(60_000);
  await until(async () => {
    await Promise.all(Array.from({ length: 20 }, () => world.happen('ann', message)));
    return world.logged.some((line) => line.includes('a watch was dropped'));
  }, 'the slow reader is dropped');
  socket.resume();
  await closed;
});

test('close ends it with a last event', async () => {
  const events = await watch(world, '/v1/events?watch=1');
  await lease('ann');
  await events.until('happened ann LeaseTaken');
  await world.api.close();
  await events.done;
  expect(events.events.at(-1)?.event).toBe('end');
});
