import { chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DoctorReport } from '#shared/finding.ts';
import { BoxStats } from '#shared/operator-schemas.ts';
import { type ControllerProcess, type ControllerWorld, createControllerWorld } from '../support/controller-process.ts';
import { newUser } from '../contract/box-runtime-harness.ts';
import { classesFolder, condition, seen, takeLease } from './fault-world.ts';

/** What a home takes up, from the box to all who show it, with a real engine and a real Redis. */

const mib = 1024 ** 2;
const dora = newUser();
let world: ControllerWorld;
let controller: ControllerProcess;

beforeAll(async () => {
  world = await createControllerWorld();
  const classes = { narrow: { home: { quota: '6MiB' } } };
  const folder = await classesFolder(join(world.docker.workdir, 'classes'), classes);
  controller = await world.startController({ SPOON_CLASSES: folder });
  await controller.converged();
});
afterAll(() => world?.[Symbol.asyncDispose]());

test('who asks what a box uses is told of its home too, as is everybody who looks at the box, and nothing is stopped', async () => {
  await world.makeHome(dora);
  const file = join(world.docker.workdir, 'homes', dora, 'large');
  await writeFile(file, Buffer.alloc(8 * mib, 1));
  await chown(file, 1000, 1000);
  await takeLease(controller, dora, { class: 'narrow', waitMs: 60_000 });
  const before = await seen(controller, dora, 'ready', ({ ready }) => ready);
  expect(before.home).toBeNull();
  expect(condition(before, 'HomeUsage')).toMatchObject({ status: 'Unknown', reason: 'HomeNotMeasured' });

  expect((await controller.ask('GET', `/v1/boxes/${dora}/stats`)).status).toBe(200);
  const over = await seen(controller, dora, 'over its quota', ({ conditions }) =>
    conditions.some(({ reason }) => reason === 'HomeOverQuota'),
  );
  expect(over.home).toMatchObject({ quotaBytes: 6 * mib, isWhole: true, problem: '' });
  expect(over.home?.usedBytes).toBeGreaterThanOrEqual(8 * mib);
  expect(over.home?.measuredAt).toBeGreaterThan(before.now);
  expect(over).toMatchObject({ ready: true, phase: 'ready', containerId: before.containerId });
  const { json: doctor } = await controller.ask('GET', '/v1/doctor');
  const told = DoctorReport.parse(doctor).items.filter(({ check }) => check === 'homes');
  expect(told).toMatchObject([
    { verdict: 'warning', found: expect.stringMatching(/^the home of Test\.\w+ takes up 8\.\d MiB of 6\.0 MiB/) },
  ]);

  await rm(file);
  const { json: again } = await controller.ask('GET', `/v1/boxes/${dora}/stats`);
  expect(BoxStats.parse(again).home).toEqual(over.home);
});
