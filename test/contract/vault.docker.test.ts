import { randomBytes } from 'node:crypto';
import { lstat, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BoxSpec } from '../../controller/src/box/observed.ts';
import type { HomeVault } from '../../controller/src/runtime/port.ts';
import { faultOf, never, newUser, plainSpec } from './box-runtime-harness.ts';
import { type DockerHarness, makeDockerHarness } from './docker-harness.ts';

/** How a vault comes into a home on the real engine; what it does there, file by file, is in `vault-script.test.ts`. */

let harness: DockerHarness;
beforeAll(async () => {
  harness = await makeDockerHarness();
  await harness.runtime.ensureNetwork(never);
});
afterAll(() => harness?.dispose());

const boxUid = 1_000;

async function startBox(changes: Partial<BoxSpec> = {}): Promise<{ id: string; home: string }> {
  const { runtime, image, world } = harness;
  const user = newUser();
  await runtime.ensureHome(user, { uid: boxUid, gid: boxUid, image: image.id }, never);
  const environment = { HOME: '/home/spoon', ...changes.environment };
  const spec = plainSpec(harness, user, { ...changes, environment });
  const { id } = await runtime.create({ user, generation: 1, spec }, never);
  await runtime.start(id, never);
  return { id, home: join(world.workdir, 'homes', user) };
}

function vaultOf(revision: number, files: Readonly<Record<string, string>>): HomeVault {
  const all = Object.entries(files).map(([path, text]) => ({ path, mode: 0o600, content: Buffer.from(text) }));
  return { revision, files: all, orders: [] };
}

test('files come into the home as their user’s, and no secret is in what the engine tells', async () => {
  const { id, home } = await startBox();
  const secret = randomBytes(16).toString('hex');
  const events = await harness.world.docker.getEvents({ filters: { container: [id] } });
  let told = '';
  events.on('data', (chunk) => {
    told += String(chunk);
  });
  const written = await harness.runtime.writeVault(id, vaultOf(7, { '.netrc': secret, 'a b/c': 'x' }), never);
  expect(written).toEqual({ revision: 7, drift: [], failed: [] });
  expect(await readFile(join(home, '.netrc'), 'utf8')).toBe(secret);
  const { uid, mode } = await lstat(join(home, '.netrc'));
  expect([uid, mode & 0o777]).toEqual([boxUid, 0o600]);
  expect((await lstat(join(home, 'a b'))).uid).toBe(boxUid);
  await expect.poll(() => told).toContain('exec_start');
  events.on('error', () => {});
  if ('destroy' in events && typeof events.destroy === 'function') events.destroy();
  expect(told).not.toContain(secret);
  const container = harness.world.docker.getContainer(id);
  expect(JSON.stringify(await container.inspect())).not.toContain(secret);
  const { output } = await harness.hands.run(id, ['sh', '-c', 'ls -A /tmp; cat /proc/[0-9]*/cmdline | tr "\\0" " "']);
  expect(output).not.toContain('spoonbox-vault');
});

test('a vault of the largest size is written, and written again where it changed', async () => {
  const { id, home } = await startBox();
  const files = Array.from({ length: 8 }, (_, at) => {
    return { path: `big/${at}`, mode: 0o644, content: randomBytes(256 * 1024) };
  });
  expect(await harness.runtime.writeVault(id, { revision: 1, files, orders: [] }, never)).toMatchObject({ failed: [] });
  expect((await readFile(join(home, 'big/7'))).equals(files[7]?.content ?? Buffer.alloc(0))).toBe(true);
  await harness.runtime.writeVault(id, vaultOf(2, { 'big/7': 'small' }), never);
  expect(await readFile(join(home, 'big/7'), 'utf8')).toBe('small');
});

test('a link out of the home reaches what the user reaches, and no more', async () => {
  const { id, home } = await startBox();
  await symlink('/etc', join(home, 'etc'));
  await symlink('/etc/passwd', join(home, 'passwd'));
  const before = await readFile('/etc/passwd', 'utf8');
  const { drift, failed } = await harness.runtime.writeVault(id, vaultOf(1, { 'etc/x': 'x', passwd: 'x' }), never);
  expect(failed).toMatchObject([{ path: 'etc/x', why: expect.stringContaining('Permission denied') }]);
  expect(drift).toEqual([{ path: 'passwd', how: 'foreign' }]);
  expect(await readFile('/etc/passwd', 'utf8')).toBe(before);
  const { output } = await harness.hands.run(id, ['sh', '-c', 'ls /etc/x; grep -c root /etc/passwd']);
  expect(output).toMatch(/No such file.*\s+[1-9]/s);
});

test('a box whose home cannot be written, or that has no coreutils, says so', async () => {
  const { id } = await startBox({ environment: { HOME: '/proc' } });
  const fault = await faultOf(harness.runtime.writeVault(id, vaultOf(1, { a: 'x' }), never));
  expect(fault).toMatchObject({ kind: 'failed', operation: 'writeVault' });
  expect(fault.message).toContain('.local/state/spoonbox cannot be made in the home');
  const { id: poor } = await startBox({ environment: { PATH: '/nowhere' } });
  const other = await faultOf(harness.runtime.writeVault(poor, vaultOf(1, { a: 'x' }), never));
  expect(other).toMatchObject({ kind: 'failed', operation: 'writeVault' });
  expect(other.message).toContain('timeout');
});
