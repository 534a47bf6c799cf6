import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBoxStore } from '#shared/box-store.ts';
import { systemClock } from '#shared/clock.ts';
import { keysOf, LeaseId } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { Sweep } from '../../controller/src/sweep/sweep.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { never, newUser, plainSpec } from './box-runtime-harness.ts';
import { sessionOf } from './box-store-world.ts';
import { type DockerHarness, makeDockerHarness } from './docker-harness.ts';

/** The sweep of sessions over a real Redis and real shells. */

const minute = 60_000;
const log = createLogger({ name: 'sweep-test', level: 'silent' });
let harness: DockerHarness;
let server: TestRedis;

beforeAll(async () => {
  harness = await makeDockerHarness();
  await harness.runtime.ensureNetwork(never);
  server = await startRedis();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await harness?.dispose();
});

test('a dead gateway’s session ends with its shell, one of a gateway that lives goes on, and what users made to last stays', async () => {
  const { runtime, hands } = harness;
  const user = newUser();
  await hands.makeHome(user);
  const spec = plainSpec(harness, user, { command: harness.commands['ends-on-term'] });
  const { id: containerId } = await runtime.create({ user, generation: 1, spec }, never);
  await runtime.start(containerId, never);
  await hands.startShell(
    containerId,
    'sDead',
    'nohup sleep 701 >/dev/null & setsid -f sleep 702; sleep 703 & exec sleep 704',
  );
  await hands.startShell(containerId, 'sDeaf', 'trap "" HUP TERM; sleep 711; exec sleep 712');
  await hands.startShell(containerId, 'sLives', 'sleep 721; true');
  await hands.startShell(containerId, 'sUnknown', 'sleep 731; true');
  await expect.poll(async () => (await runtime.sessionMarks(containerId, never)).length).toBe(4);
  const sleeps = async (): Promise<string[]> => {
    const { output } = await hands.run(containerId, ['ps', '-eo', 'args']);
    return [...new Set([...output.matchAll(/^sleep (7\d\d)/gm)].map(([, which]) => which ?? ''))].toSorted();
  };
  // Then every shell has set its trap and has begun what it begins; `setsid -f` and `&` come back before what they start runs.
  await expect.poll(sleeps).toEqual(['701', '702', '703', '704', '711', '721', '731']);

  const redis = connectRedis(server.url, log);
  const keys = keysOf(harness.installation);
  const store = createBoxStore({ redis, keys, policies: { '*': [minute, minute] }, defaultClass: 'default' });
  for (const id of ['g1', 'g2']) await store.registerGateway({ id, address: '', fingerprint: '' }, 10 * minute);
  for (const id of ['sDead', 'sDeaf']) await store.claimSession(sessionOf(user, { id, containerId }), false, '');
  await store.claimSession(sessionOf(user, { id: 'sLives', containerId, gateway: 'g2' }), false, '');
  const lease = { user, id: LeaseId.parse('terminal:sLives:1'), kind: 'terminal', holder: 'test' } as const;
  await store.take({ ...lease, ttlMs: 5 * minute, class: null });
  const cli = new Redis(server.url);
  const { now } = await store.gateways();
  await cli.hset(
    keys.gateways,
    'g1',
    JSON.stringify({ id: 'g1', address: '', fingerprint: '', expiresAt: now - minute }),
  );
  cli.disconnect();

  // The rounds a minute apart, without the minute.
  let aheadMs = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const sweep = new Sweep({ store, runtime, clock, log, graceMs: 5 * minute, trustedForMs: () => 10 * minute });
  sweep.listed([{ user, id: containerId }]);
  await sweep.round(never);
  expect((await runtime.sessionMarks(containerId, never)).toSorted()).toEqual(['sLives', 'sUnknown']);
  expect(await store.sessions(user)).toMatchObject([{ id: 'sLives' }]);
  expect((await store.events(user, 1))[0]).toMatchObject({ reason: 'SessionEnded', by: 'spoonbox' });
  aheadMs = minute;
  await sweep.round(never);
  expect(await runtime.sessionMarks(containerId, never)).toEqual(['sLives']);
  // 711 was started by a shell that ignores HUP, and so does it: as with nohup.
  expect(await sleeps()).toEqual(['701', '702', '711', '721']);
  await redis.close();
});
