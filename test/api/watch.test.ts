import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { Problem } from '#shared/problem.ts';
import { type ApiWorld, createApiWorld, howItEnds, token, until } from './api-world.ts';
import { boxes, watch, type Watching } from './watching.ts';

let world: ApiWorld | null = null;
afterEach(async () => {
  await world?.close();
  world = null;
});

const job = { kind: 'job', holder: 'agent-7', ttlMs: 60_000 };

/** A watch of all boxes, with one that is there, whose reader takes nothing for now. */
async function readNothing({ ask, url }: ApiWorld) {
  await ask('PUT', '/v1/boxes/ann/leases/j1', { body: job });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.write(`GET /v1/boxes?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  socket.pause();
  return {
    socket,
    text: () => text,
    async rest() {
      socket.resume();
      await closed;
      return text;
    },
  };
}

test('a watch starts with the full state, then tells changes, and what was forgotten', async () => {
  world = await createApiWorld();
  const { ask, commit, forget } = world;
  await ask('PUT', '/v1/boxes/ann/leases/j1', { body: job });
  await ask('PUT', '/v1/boxes/bob/leases/j1', { body: job });
  const all = await watch(world, '/v1/boxes?watch=1');
  const bob = await watch(world, '/v1/boxes/bob?watch=1');
  await until(() => [all, bob].every(({ events }) => events.some(({ event }) => event === 'synced')), 'synced');
  expect(
    boxes(all.events)
      .map(({ user }) => user)
      .sort(),
  ).toEqual(['ann', 'bob']);
  expect(boxes(bob.events).map(({ user }) => user)).toEqual(['bob']);
  expect(all.events.map(({ event }) => event)).toEqual(['full', 'box', 'box', 'synced']);

  await commit('ann', { phase: 'ready', containerId: 'c1' });
  await until(() => boxes(all.events).some(({ user, phase }) => user === 'ann' && phase === 'ready'), 'ann is ready');
  await ask('DELETE', '/v1/boxes/bob');
  await forget('bob');
  for (const { events } of [all, bob]) {
    await until(() => events.some(({ event, data }) => event === 'removed' && data.includes('bob')), 'bob is removed');
  }
  expect(boxes(bob.events).every(({ user }) => user === 'bob')).toBe(true);
  all.end();
  bob.end();
  await Promise.all([all.done, bob.done]);
});

test('a change costs one read however many watch, and none once they have gone', async () => {
  world = await createApiWorld();
  const { ask, commit, reads } = world;
  await ask('PUT', '/v1/boxes/ann/leases/j1', { body: job });
  const watches = await Promise.all(Array.from({ length: 20 }, () => watch(world as ApiWorld, '/v1/boxes?watch=1')));
  await until(() => watches.every(({ events }) => events.some(({ event }) => event === 'synced')), 'synced');
  const before = reads.count;
  await commit('ann', { phase: 'ready', containerId: 'c1' });
  await until(
    () => watches.every(({ events }) => boxes(events).some(({ phase }) => phase === 'ready')),
    'all are told',
  );
  expect(reads.count - before).toBe(1);
  for (const { end } of watches) end();
  await Promise.all(watches.map(({ done }) => done));
  await ask('GET', '/healthz');
  const idle = reads.count;
  await commit('ann', { phase: 'ready', containerId: 'c2' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(reads.count).toBe(idle);
});

test('watches that come while the full state is read share the next read of it', async () => {
  const here = await createApiWorld();
  world = here;
  for (const user of ['ann', 'bob', 'cy']) await here.ask('PUT', `/v1/boxes/${user}/leases/j1`, { body: job });
  const read = here.store.read;
  const { promise: allAreThere, resolve: letRead } = Promise.withResolvers<void>();
  here.store.read = async (user) => {
    await allAreThere;
    return await read(user);
  };
  const before = here.reads.count;
  const first = await watch(here, '/v1/boxes?watch=1');
  const others = await Promise.all(Array.from({ length: 20 }, () => watch(here, '/v1/boxes?watch=1')));
  letRead();
  for (const one of [first, ...others]) {
    await one.until('synced');
    expect(one.told().toSorted()).toEqual(['box ann', 'box bob', 'box cy', 'full', 'synced']);
  }
  expect(here.reads.count - before).toBe(2 * 3);
});

test('a watch of a user who is not known yet begins with that', async () => {
  world = await createApiWorld();
  const new_ = await watch(world, '/v1/boxes/newcomer?watch=1');
  await until(() => new_.events.some(({ event }) => event === 'synced'), 'synced');
  expect(new_.events.map(({ event }) => event)).toEqual(['full', 'removed', 'synced']);
  await world.ask('PUT', '/v1/boxes/newcomer/leases/j1', { body: job });
  await until(() => boxes(new_.events).length > 0, 'the box comes');
  new_.end();
});

test('what was missed while Redis was away comes after it is back', async () => {
  world = await createApiWorld();
  await world.ask('PUT', '/v1/boxes/ann/leases/j1', { body: job });
  const all = await watch(world, '/v1/boxes?watch=1');
  await until(() => all.events.some(({ event }) => event === 'synced'), 'synced');
  const before = boxes(all.events).length;
  await world.redis.restart();
  await until(() => boxes(all.events).length > before, 'the full state comes again');
  await world.redis.flush();
  await world.redis.restart();
  await until(() => all.events.some(({ event }) => event === 'removed'), 'what Redis lost is told as removed');
  all.end();
});

test('close ends a watch with a last event', async () => {
  world = await createApiWorld();
  const all = await watch(world, '/v1/boxes?watch=1');
  await until(() => all.events.some(({ event }) => event === 'synced'), 'synced');
  await world.api.close();
  await all.done;
  const last = all.events.at(-1);
  expect(last?.event).toBe('end');
  expect(JSON.parse(last?.data ?? '')).toMatchObject({ code: 'shutting-down' });
});

test('a quiet watch is kept alive by comments', async () => {
  world = await createApiWorld({ watchLimits: { keepAliveMs: 50, stalledMs: 30_000, maxBufferedBytes: 1_000 } });
  const response = await fetch(`${world.url}/v1/boxes?watch=1`, { headers: { authorization: `Bearer ${token}` } });
  const reader = response.body?.getReader();
  let text = '';
  while (!text.includes(': still here')) text += new TextDecoder().decode((await reader?.read())?.value);
  await reader?.cancel();
});

test('a reader that takes nothing is dropped, and the last that it reads says why', async () => {
  world = await createApiWorld({ watchLimits: { keepAliveMs: 15_000, stalledMs: 300, maxBufferedBytes: 64 * 1024 } });
  const { commit, logged } = world;
  const slow = await readNothing(world);
  const message = 'x'.repeat(40_000);
  await until(async () => {
    for (let i = 0; i < 20; i += 1) await commit('ann', { phase: 'ready', containerId: 'c1', message });
    return logged.some((line) => line.includes('a watch was dropped'));
  }, 'the slow reader is dropped');
  const end = (await slow.rest()).split('event: end\ndata: ')[1];
  expect(Problem.parse(JSON.parse(end?.split('\n')[0] ?? '')).code).toBe('watch-too-slow');
});

test('what waits for a reader that takes nothing is bounded: it gets the newest state, not all that was', async () => {
  world = await createApiWorld({
    watchLimits: { keepAliveMs: 15_000, stalledMs: 60_000, maxBufferedBytes: 64 * 1024 },
  });
  const here = world;
  const slow = await readNothing(here);
  const quick = await watch(here, '/v1/boxes/ann?watch=1');
  const message = 'x'.repeat(100_000);
  const sizeOf = (): number => quick.events.reduce((sum, { data }) => sum + data.length, 0);
  // Kernels take up to ten megabytes for a socket that nobody reads.
  for (let n = 1; sizeOf() < 24_000_000; n += 1) {
    await here.commit('ann', { phase: 'ready', containerId: `c${n}`, message });
    await until(() => boxes(quick.events.slice(-1)).some(({ containerId }) => containerId === `c${n}`), 'it is told');
  }
  const newest = boxes(quick.events.slice(-1))[0]?.containerId ?? '';
  await quick.end();
  slow.socket.resume();
  await until(() => slow.text().includes(`"${newest}"`), 'the newest state comes');
  expect(slow.text().length).toBeLessThan(sizeOf() * 0.75);
  slow.socket.destroy();
});

test('a reader that takes nothing does not hold up the end', async () => {
  world = await createApiWorld({
    watchLimits: { keepAliveMs: 15_000, stalledMs: 60_000, maxBufferedBytes: 64 * 1024 },
  });
  const { api, commit } = world;
  const { socket } = await readNothing(world);
  const quick = await watch(world, '/v1/boxes/ann?watch=1');
  const message = 'x'.repeat(200_000);
  const told = (): number => quick.events.reduce((sum, { data }) => sum + data.length, 0);
  // More than any kernel takes for a socket that nobody reads.
  while (told() < 14_000_000) await commit('ann', { phase: 'ready', containerId: 'c1', message });
  expect(await howItEnds(api.close())).toBe('it ended');
  socket.destroy();
  await quick.end();
});

test('a watch is refused what is not a watch', async () => {
  world = await createApiWorld();
  for (const query of ['watch=0', 'watch=yes', 'watch=1&watch=1', 'follow=1']) {
    expect((await world.ask('GET', `/v1/boxes?${query}`)).status).toBe(400);
  }
});

test('one caller may have so many watches, and does not take them from another', async () => {
  const here = await createApiWorld();
  world = here;
  const made = await here.ask('POST', '/v1/tokens', { body: { name: 'other', role: 'viewer' } });
  const other = { authorization: `Bearer ${z.object({ token: z.string() }).parse(made.json).token}` };
  const path = '/v1/boxes/ann?watch=1';
  const open: Watching[] = [];
  for (let n = 0; n < 250; n += 1) open.push(await watch(here, path));
  const refused = await here.ask('GET', path);
  expect([refused.status, refused.json]).toMatchObject([429, { code: 'too-many-watches' }]);
  const others = await fetch(here.url + path, { headers: other });
  expect(others.status).toBe(200);
  await others.body?.cancel();
  await open.pop()?.end();
  await until(async () => {
    const next = await fetch(here.url + path, { headers: { authorization: `Bearer ${token}` } });
    await next.body?.cancel();
    return next.status === 200;
  }, 'there is place for one more');
  for (const one of open) await one.end();
});
