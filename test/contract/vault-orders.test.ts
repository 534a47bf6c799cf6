import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBoxStore } from '#shared/box-store.ts';
import { InstallationId, keysOf, UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { connectRedis } from '#shared/redis.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type TestVaults, vaultsOf } from '../support/vault-of.ts';

/** What is asked of a home for its vault's sake, in a real Redis. */

const installation = InstallationId.parse('test');
const by = { by: 'test' };
let redis: TestRedis;
let port: RedisPort;
let own: TestVaults;
let user: UserName;
let made = 0;

beforeAll(async () => {
  redis = await startRedis();
  port = connectRedis(redis.url, createLogger({ name: 'test', level: 'silent' }));
  own = vaultsOf({ redisUrl: redis.url, installation });
});
afterAll(async () => {
  await own?.[Symbol.asyncDispose]();
  await port?.close();
  await redis?.[Symbol.asyncDispose]();
});

function newUser(): UserName {
  made += 1;
  user = UserName.parse(`user-${made}`);
  return user;
}

/** The revision that a pass finds. */
async function found(): Promise<number> {
  const store = createBoxStore({
    redis: port,
    keys: keysOf(installation),
    policies: { '*': [1, 1] },
    defaultClass: 'd',
  });
  return (await store.read(user)).vaultRevision;
}

test('what is removed from a vault is to go from the home, and a pass finds that, also when nothing is left in the vault', async () => {
  newUser();
  expect(await found()).toBe(0);
  await own.put(user, 'a', 'one');
  await own.put(user, 'b', 'one');
  const before = await found();
  await own.vaults.removeFile(user, 'a', by);
  const [order] = await own.orders.read(user);
  expect(order).toMatchObject({ order: 'drop', path: 'a' });
  expect(order?.revision).toBeGreaterThan(before);
  expect(await found()).toBe(order?.revision);
  await own.vaults.removeFile(user, 'b', by);
  expect(await own.vaults.revision(user)).toBe(0);
  expect((await own.orders.read(user)).map(({ path }) => path).toSorted()).toEqual(['a', 'b']);
  const last = await found();
  expect(last).toBeGreaterThan(order?.revision ?? 0);
  await own.orders.settle(user, last);
  expect([await own.orders.read(user), await found()]).toEqual([[], 0]);
});

test('what a whole import replaces is to go too; variables are no files', async () => {
  newUser();
  await own.put(user, 'a', 'one');
  await own.vaults.putVariable(user, 'A', 'one', by);
  const content = Buffer.from('two');
  const files = [{ path: 'b', mode: 0o644, content }];
  await own.vaults.put(user, { files, environment: {}, replaces: true }, by);
  expect(await own.orders.read(user)).toMatchObject([{ order: 'drop', path: 'a' }]);
});

test('what was asked for after the home was looked at is not settled with it', async () => {
  newUser();
  await own.put(user, 'a', 'one');
  await own.put(user, 'b', 'one');
  await own.vaults.removeFile(user, 'a', by);
  const looked = await found();
  await own.vaults.removeFile(user, 'b', by);
  await own.orders.settle(user, looked);
  expect((await own.orders.read(user)).map(({ path }) => path)).toEqual(['b']);
});

test('the vault’s side of a file is asked for once, is a new revision, and only of a file that it has', async () => {
  newUser();
  await own.put(user, 'a', 'one');
  const before = await found();
  expect(await own.orders.take(user, 'none', 'test')).toEqual({ ok: false, refused: 'entry-unknown', detail: 'none' });
  expect(await found()).toBe(before);
  const taken = await own.orders.take(user, 'a', 'test');
  expect(await own.orders.read(user)).toEqual([
    { order: 'take', path: 'a', revision: taken.ok ? taken.revision : null },
  ]);
  expect(await found()).toBeGreaterThan(before);
});

test('a path that looks like something else is a path', async () => {
  newUser();
  for (const path of ['revision', 'p:x', 'drop:1', 'ü ö']) {
    await own.put(user, path, 'one');
    await own.vaults.removeFile(user, path, by);
  }
  const orders = await own.orders.read(user);
  expect(orders.map(({ path }) => path).toSorted()).toEqual(['drop:1', 'p:x', 'revision', 'ü ö']);
});

test('damage is as good as loss', async () => {
  newUser();
  await own.put(user, 'a', 'one');
  await own.damageOrders(user, { 'p:a': 'nonsense', 'p:b': 'drop:nonsense', revision: 'nonsense' });
  expect(await own.orders.read(user)).toEqual([]);
  expect(await found()).toBe(await own.vaults.revision(user));
  await own.orders.settle(user, 1);
  await own.vaults.removeFile(user, 'a', by);
  expect(await own.orders.read(user)).toMatchObject([{ path: 'a' }]);
});
