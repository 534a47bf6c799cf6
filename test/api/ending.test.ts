import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type ApiWorld, createApiWorld, howItEnds, token } from './api-world.ts';
import { watch } from './watching.ts';

let world: ApiWorld | null = null;
afterEach(async () => {
  await world?.close();
  world = null;
});

test('a connection on which nothing was asked does not hold up the end', async () => {
  world = await createApiWorld();
  const socket = connect(Number(new URL(world.url).port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  // The server has taken it by the time that it answers a later one.
  await world.ask('GET', '/healthz');
  expect(await howItEnds(world.api.close())).toBe('it ended');
  socket.destroy();
});

test('whoever wants to watch while watches are ended is told so, and does not hold up the end', async () => {
  world = await createApiWorld({
    watchLimits: { keepAliveMs: 15_000, stalledMs: 60_000, maxBufferedBytes: 64 * 1024 },
  });
  const { ask, api, commit, url } = world;
  await ask('PUT', '/v1/boxes/ann/leases/j1', { body: { kind: 'job', holder: 'agent-7', ttlMs: 60_000 } });
  const taken = await watch(world, '/v1/boxes?watch=1');
  await taken.until('synced');
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`GET /v1/boxes?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  socket.pause();
  const message = 'x'.repeat(200_000);
  const told = (): number => taken.events.reduce((sum, { data }) => sum + data.length, 0);
  // More than any kernel takes for a socket that nobody reads.
  while (told() < 14_000_000) await commit('ann', { phase: 'ready', containerId: 'c1', message });
  const ended = howItEnds(api.close());
  // It is at the end of all watches by now, and waits for the one who reads nothing.
  await taken.done;
  for (const path of ['/v1/boxes?watch=1', '/v1/boxes/ann?watch=1', '/v1/events?watch=1']) {
    const late = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
    expect([late.status, await late.json()]).toMatchObject([503, { code: 'shutting-down' }]);
  }
  expect(await ended).toBe('it ended');
  socket.destroy();
});
