import { execFileSync } from 'node:child_process';
import { chmod, chown, link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import { faultOf, never, newUser, plainSpec, type RuntimeHarness } from './box-runtime-harness.ts';
import { makeDockerHarness } from './docker-harness.ts';

/** What only a real home and a real `du` can tell. */

const mib = 1024 ** 2;
let harness: RuntimeHarness;
let runtime: BoxRuntime;
beforeAll(async () => {
  harness = await makeDockerHarness();
  runtime = harness.runtime;
  await runtime.ensureNetwork(never);
});
afterAll(() => harness?.dispose());

/** A box that runs, and its home as this machine sees it. */
async function startBox(changes: Parameters<typeof plainSpec>[2] = {}) {
  const user = newUser();
  await harness.hands.makeHome(user);
  const home = join(harness.homesDir, user);
  await chown(home, 1000, 1000);
  const spec = plainSpec(harness, user, changes);
  const { id } = await runtime.create({ user, generation: 1, spec }, never);
  await runtime.start(id, never);
  return { id, home };
}

test('blocks count once for all names of a file, a sparse file for what it has, and nothing behind a link', async () => {
  const { id, home } = await startBox();
  const before = await runtime.homeUse(id, '/home/spoon', never);
  await writeFile(join(home, 'file'), Buffer.alloc(3 * mib, 1));
  await link(join(home, 'file'), join(home, 'same'));
  await symlink('/usr', join(home, 'usr'));
  await symlink('..', join(home, 'up'));
  const { usedBytes, isWhole } = await runtime.homeUse(id, '/home/spoon', never);
  const grownBytes = usedBytes - before.usedBytes;
  expect(grownBytes).toBeGreaterThanOrEqual(3 * mib);
  expect(grownBytes).toBeLessThan(3.5 * mib);
  expect(isWhole).toBe(true);
});

test('a home of which its user cannot read a part is told as far as it can be read', async () => {
  const { id, home } = await startBox();
  await mkdir(join(home, 'locked'));
  await writeFile(join(home, 'locked', 'file'), Buffer.alloc(mib, 1));
  await chmod(join(home, 'locked'), 0o700);
  const { usedBytes, isWhole } = await runtime.homeUse(id, '/home/spoon', never);
  expect(isWhole).toBe(false);
  expect(usedBytes).toBeLessThan(mib);
});

test('where there is no such directory, or nothing can be run, the fault says so', async () => {
  const { id } = await startBox();
  const nowhere = await faultOf(runtime.homeUse(id, '/nowhere', never));
  expect(nowhere).toMatchObject({ kind: 'failed', message: expect.stringMatching(/exit code 1: it said nothing/) });
  const bare = await startBox({ environment: { PATH: '/nowhere' } });
  const without = await faultOf(runtime.homeUse(bare.id, '/home/spoon', never));
  expect(without).toMatchObject({ kind: 'failed', message: expect.stringMatching(/the image has no du/) });
});

test('a box that answers with a flood is not listened to', async () => {
  const { id, home } = await startBox({ environment: { PATH: '/home/spoon/bin:/usr/bin:/bin' } });
  await mkdir(join(home, 'bin'));
  await writeFile(join(home, 'bin', 'du'), '#!/bin/sh\nexec yes 4096\n', { mode: 0o755 });
  // Listened to, it goes on for the two minutes that a look may take, and is another fault.
  const fault = await faultOf(runtime.homeUse(id, '/home/spoon', never));
  expect(fault).toMatchObject({ kind: 'failed', message: 'what counts in the home says more than a number' });
});

test('where the kernel lets nobody be idle, it is counted all the same', async () => {
  const { id, home } = await startBox({ environment: { PATH: '/home/spoon/bin:/usr/bin:/bin' } });
  await mkdir(join(home, 'bin'));
  const refuses = 'echo "ionice: ioprio_set failed: Function not implemented" >&2; exit 1';
  await writeFile(join(home, 'bin', 'ionice'), `#!/bin/sh\n${refuses}\n`, { mode: 0o755 });
  expect(await runtime.homeUse(id, '/home/spoon', never)).toMatchObject({ isWhole: true });
});

test('odd names, pipes, links in a circle and unreadable words do no harm', async () => {
  const { id, home } = await startBox();
  await writeFile(Buffer.concat([Buffer.from(`${home}/9 GiB\n999999999\t.\n`), Buffer.from([0xff])]), '');
  execFileSync('mkfifo', [join(home, 'pipe')]);
  await symlink('circle', join(home, 'circle'));
  await symlink('/proc', join(home, '-rf'));
  const { usedBytes, isWhole } = await runtime.homeUse(id, '/home/spoon', never);
  expect(usedBytes).toBeLessThan(mib);
  expect(isWhole).toBe(true);
});
