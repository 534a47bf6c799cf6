import { lstat, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { UserName } from '#shared/identity.ts';
import { VaultHomeView } from '#shared/vault-home-schemas.ts';
import { runCli } from '../cli/cli-run.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { encryptionKey, type TestVaults, vaultsOf } from '../support/vault-of.ts';
import { absent, createInstallation, type Installation, lease, reach, ready, until } from './installation.ts';

/** Vaults in boxes, by real processes on the real engine. */

let installation: Installation;
let controller: ControllerProcess;
let own: TestVaults;
let user: UserName;
const settings = { SPOON_ENCRYPTION_KEY: encryptionKey };

beforeAll(async () => {
  installation = await createInstallation();
  const { docker, redis } = installation.world;
  own = vaultsOf({ redisUrl: redis.url, installation: docker.installation });
  controller = await installation.controller(settings);
  await installation.gateway(settings);
});
afterAll(async () => {
  await own?.[Symbol.asyncDispose]();
  await installation?.[Symbol.asyncDispose]();
});
beforeEach(() => {
  user = installation.newUser('alice');
});

const inHome = (path: string): string => join(installation.world.docker.workdir, 'homes', user, path);
const read = (path: string): Promise<string> => readFile(inHome(path), 'utf8');
/** As the user would, without becoming its owner. */
const edit = (path: string, text: string): Promise<void> => writeFile(inHome(path), text);
const spoonbox = (...args: string[]) => runCli(args, reach(controller));

async function status(): Promise<VaultHomeView> {
  const answer = await controller.ask('GET', `/v1/users/${user}/vault/status`);
  return VaultHomeView.parse(answer.json);
}

/** The vault as it is now was written, or is known not to be. */
async function settled(reason: VaultHomeView['condition']['reason']): Promise<VaultHomeView> {
  return await until(`the vault of ${user} is ${reason}`, async () => {
    const view = await status();
    const isNow = view.condition.reason === reason && (view.applied?.revision ?? 0) === view.revision;
    return isNow ? view : null;
  });
}

test('a box that is ready has the files of its vault, and its first shell the variables; a change comes while it runs', async () => {
  await own.put(user, '.bashrc', 'alias greet="echo hello from the vault"\n');
  await own.put(user, '.ssh/id', 'a secret key', 0o600);
  await own.vaults.putVariable(user, 'GIT_TOKEN', 'a secret token', { by: 'test' });
  const script = 'shopt -s expand_aliases; . ~/.bashrc; eval greet; cat ~/.ssh/id; echo "|$GIT_TOKEN"';
  const ran = await spoonbox('exec', user, '--', 'bash', '-c', script);
  expect(ran).toEqual({ code: 0, out: 'hello from the vault\na secret key|a secret token\n', err: '' });
  const { uid, mode } = await lstat(inHome('.ssh/id'));
  expect([uid, mode & 0o777]).toEqual([1000, 0o600]);
  await settled('VaultApplied');
  await own.put(user, '.ssh/id', 'another key', 0o600);
  await settled('VaultApplied');
  expect(await read('.ssh/id')).toBe('another key');
  await own.vaults.removeFile(user, '.bashrc', { by: 'test' });
  await settled('VaultApplied');
  await expect(read('.bashrc')).rejects.toThrow('ENOENT');
  expect(await own.orders.read(user)).toEqual([]);
  expect(controller.lines.concat().join('\n')).not.toContain('a secret');
});

test('what the user edited is left alone and told, over a reap; either side can be taken', async () => {
  await own.put(user, 'a', 'one');
  await own.put(user, 'b', 'one');
  await lease(controller, user);
  await settled('VaultApplied');
  await edit('a', 'mine');
  await own.put(user, 'a', 'two');
  const view = await settled('VaultDrift');
  expect(view.applied?.drift).toEqual([{ path: 'a', how: 'edited' }]);
  expect(view.condition.message).toContain('a (edited in the box)');
  const shown = await spoonbox('vault', 'status', user);
  expect(shown.code).toBe(1);
  expect(shown.out).toMatch(/^a +edited in the box$/m);
  await spoonbox('reap', '--yes', user);
  await absent(controller, user);
  await lease(controller, user);
  await settled('VaultDrift');
  expect(await read('a')).toBe('mine');
  expect(await spoonbox('vault', 'take', user, 'a', '--from', 'vault')).toMatchObject({ code: 0 });
  await settled('VaultApplied');
  expect([await read('a'), await read('a.spoonbox-saved')]).toEqual(['two', 'mine']);
  expect((await spoonbox('vault', 'status', user)).code).toBe(0);
  expect(await spoonbox('vault', 'take', user, 'none', '--from', 'vault')).toMatchObject({
    code: 1,
    err: expect.stringContaining('has no none'),
  });
});

test('a vault that was lost takes nothing out of the home', async () => {
  await own.put(user, 'a', 'one');
  await own.put(user, 'b', 'one');
  await lease(controller, user);
  await settled('VaultApplied');
  await own.lose(user);
  await own.put(user, 'b', 'two');
  await settled('VaultApplied');
  expect([await read('a'), await read('b')]).toEqual(['one', 'two']);
});

test('a vault that cannot be opened keeps no box from being ready, and is told; it comes once it can be', async () => {
  const { docker, redis } = installation.world;
  await using other = vaultsOf({
    redisUrl: redis.url,
    installation: docker.installation,
    key: 'another-key-0123456789',
  });
  await other.put(user, 'a', 'one');
  await lease(controller, user);
  await ready(controller, user);
  const { condition } = await status();
  expect(condition).toMatchObject({ status: 'False', reason: 'VaultUnreadable' });
  expect(condition.message).toMatch(/the file a of .* under the key [0-9a-f]{8}/);
  await rm(inHome('a'), { force: true });
  await own.put(user, 'a', 'two');
  await settled('VaultApplied');
  expect(await read('a')).toBe('two');
});

test('a file that was removed while no box ran goes from the home, though Redis was lost before one did', async () => {
  await own.put(user, 'a', 'one');
  await own.put(user, 'b', 'one');
  await lease(controller, user);
  await settled('VaultApplied');
  await spoonbox('reap', '--yes', user);
  await absent(controller, user);
  await own.vaults.removeFile(user, 'a', { by: 'test' });
  const file = join(installation.world.docker.workdir, 'before.jsonl');
  expect(await spoonbox('backup', '--file', file)).toMatchObject({ code: 0 });
  await installation.world.redis.restore('none');
  await until('the vault is lost', async () => {
    const { json } = await controller.ask('GET', `/v1/users/${user}/vault/status`);
    return VaultHomeView.safeParse(json).data?.revision === 0;
  });
  expect(await spoonbox('restore', '--file', file, '--yes')).toMatchObject({ code: 0 });
  await lease(controller, user);
  await settled('VaultApplied');
  await expect(read('a')).rejects.toThrow('ENOENT');
  expect(await read('b')).toBe('one');
});
