import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBoxStore } from '#shared/box-store.ts';
import { InstallationId, keysOf, LeaseId, UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const log = createLogger({ name: 'connection-test', level: 'silent' });
const keys = keysOf(InstallationId.parse('connection'));
const user = UserName.parse('alice');

let server: TestRedis;
let redis: RedisPort;

beforeEach(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, log);
});
afterEach(async () => {
  await redis.close();
  await server[Symbol.asyncDispose]();
});

function storeOf(port: RedisPort) {
  return createBoxStore({ redis: port, keys, policies: { '*': [60_000, 60_000] }, defaultClass: 'default' });
}

async function take(id = 'j1') {
  const lease = { user, id: LeaseId.parse(id), kind: 'job' as const, holder: 'h', ttlMs: 60_000, class: null };
  return await storeOf(redis).take(lease);
}

async function isBack(): Promise<void> {
  await expect.poll(async () => await redis.runId().catch(() => '')).not.toBe('');
}

test('the first commands of a process wait for the connection, many at once too', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  const fresh = connectRedis(server.url, log);
  const read = await Promise.all(Array.from({ length: 50 }, () => storeOf(fresh).read(user)));
  expect(read).toHaveLength(50);
  await fresh.close();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

test('while Redis is down every command fails at once; after it came back they work', async () => {
  await take();
  await server.kill();
  await expect(take()).rejects.toThrow();
  // The words tell: it was not kept for a connection that may come, nor given up after its time.
  const atOnce = /^Stream isn't writeable/;
  for (let n = 0; n < 5; n += 1) {
    await expect(take(`j${n}`)).rejects.toThrow(atOnce);
    await expect(redis.hashValues(keys.users)).rejects.toThrow(atOnce);
    await expect(redis.streamTail(keys.user(user).events, 1)).rejects.toThrow(atOnce);
    await expect(redis.runId()).rejects.toThrow(atOnce);
  }
  await server.restart();
  await isBack();
  expect(await take('j9')).toMatchObject({ ok: true });
});

test('what was refused while Redis was down is not sent later', async () => {
  await take('before');
  await server.kill();
  await expect(take('during')).rejects.toThrow();
  await server.restart();
  await isBack();
  expect((await storeOf(redis).read(user)).leases.map(({ id }) => id)).toEqual(['before']);
});

test('scripts go on after SCRIPT FLUSH and after a restart, with a new run id', async () => {
  await take();
  const before = await redis.runId();
  await inline('SCRIPT FLUSH');
  expect(await take()).toMatchObject({ ok: true });
  await server.restart();
  await isBack();
  expect(await take()).toMatchObject({ ok: true });
  expect(await redis.runId()).not.toBe(before);
});

test('a subscription comes back by itself, and its listener is told of the gap once commands work too', async () => {
  const store = storeOf(redis);
  const heard: string[] = [];
  const readInGap: (number | string)[] = [];
  const end = await store.subscribe(
    'wake',
    (who) => heard.push(who),
    () => {
      store.read(user).then(
        ({ leases }) => readInGap.push(leases.length),
        (error: unknown) => readInGap.push(String(error)),
      );
    },
  );
  await expect.poll(() => readInGap).toEqual([0]); // the subscription itself began with one
  await take();
  await expect.poll(() => heard).toEqual([user]);
  for (let round = 1; round <= 3; round += 1) {
    await server.restart();
    await expect.poll(() => readInGap.length).toBeGreaterThan(round);
  }
  expect(readInGap.slice(1).every((leases) => leases === 1)).toBe(true);
  await take('j2');
  await expect.poll(() => heard).toEqual([user, user]);
  await end();
  await take('j3');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(heard).toHaveLength(2);
});

test('a gap is told also when only the commands’ connection broke: what failed meanwhile is read again', async () => {
  let gaps = 0;
  await redis.subscribe(
    'channel',
    () => {},
    () => {
      gaps += 1;
    },
  );
  await expect.poll(() => gaps).toBe(1);
  await inline('CLIENT KILL TYPE normal SKIPME yes');
  await expect.poll(() => gaps).toBe(2);
  expect(await redis.runId()).toMatch(/^\w{40}$/);
});

test('a subscription that is asked for while Redis is down stands once it is back', async () => {
  await take();
  await server.kill();
  await expect(redis.runId()).rejects.toThrow();
  const heard: string[] = [];
  let gaps = 0;
  await storeOf(redis).subscribe(
    'wake',
    (who) => heard.push(who),
    () => {
      gaps += 1;
    },
  );
  await server.restart();
  await expect.poll(() => gaps).toBeGreaterThan(0);
  await isBack();
  await take();
  await expect.poll(() => heard).toEqual([user]);
});

test('several listeners of one channel are told apart', async () => {
  const heard: string[] = [];
  const gaps = new Set<string>();
  const listen = (name: string) =>
    redis.subscribe(
      'channel',
      (payload) => heard.push(`${name} ${payload}`),
      () => gaps.add(name),
    );
  const endA = await listen('a');
  await expect.poll(() => gaps.size).toBe(1);
  await listen('b');
  await inline('PUBLISH channel x');
  await expect.poll(() => heard.sort()).toEqual(['a x', 'b x']);
  await endA();
  await inline('PUBLISH channel y');
  await expect.poll(() => heard.sort()).toEqual(['a x', 'b x', 'b y']);
});

test('a subscription whose other end is gone without a word is made anew', async () => {
  const wire = await startWire(server.port);
  const far = connectRedis(`redis://127.0.0.1:${wire.port}`, log);
  const heard: string[] = [];
  let gaps = 0;
  await far.subscribe(
    'channel',
    (payload) => heard.push(payload),
    () => {
      gaps += 1;
    },
  );
  await expect.poll(() => gaps).toBe(1);
  wire.silence();
  await expect.poll(() => gaps).toBeGreaterThan(1);
  await inline('PUBLISH channel x');
  await expect.poll(() => heard).toEqual(['x']);
  await far.close();
  await wire.close();
});

/** A wire to Redis whose connections can go silent: nothing passes any more, and nothing is closed. New ones are served. */
async function startWire(to: number) {
  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  const wire = createServer((near) => {
    const far = createConnection(to, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('data', (chunk) => void (silent.has(one) || other.write(chunk)));
      one.on('error', () => {});
      one.on('close', () => void (silent.has(one) || other.destroy()));
    }
  }).listen(0, '127.0.0.1');
  await once(wire, 'listening');
  const address = wire.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return {
    port: address.port,
    silence: () => {
      for (const socket of sockets) silent.add(socket);
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      wire.close();
      await once(wire, 'close');
    },
  };
}

/** As a person with redis-cli. */
async function inline(command: string): Promise<void> {
  const socket = createConnection(server.port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject).once('data', () => resolve());
    socket.write(`${command}\r\n`);
  });
  socket.destroy();
}
