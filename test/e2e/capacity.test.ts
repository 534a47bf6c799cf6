import { afterAll, beforeAll, expect, test } from 'vitest';
import { CapacityView } from '#shared/operator-schemas.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { openTerminal } from '../support/terminal-client.ts';
import { boxOf, createInstallation, type Installation, lease, ready, until } from './installation.ts';

/** Two places for three people, on a real engine. */

let installation: Installation;
let controller: ControllerProcess;
beforeAll(async () => {
  installation = await createInstallation();
  const SPOON_CLASSES = await installation.classes({
    default: { idle: '{ detached: 1h, attached: 8h, giveWay: 2s }' },
  });
  controller = await installation.controller({ SPOON_BOX_MAX: '2', SPOON_CLASSES });
  await installation.gateway({ SPOON_CLASSES });
});
afterAll(() => installation[Symbol.asyncDispose]());

test('the third waits in sight; the one that nobody holds gives way, and its user is told', async () => {
  const [first, second, third] = ['first', 'second', 'third'].map((name) => installation.newUser(name));
  if (first === undefined || second === undefined || third === undefined) throw new Error('three users were made');
  await Promise.all([lease(controller, first), lease(controller, second)]);
  const [kept] = await Promise.all([ready(controller, first), ready(controller, second)]);

  const terminal = await openTerminal(controller, third);
  await until('the terminal is told its position', () =>
    terminal.messages.some(
      (message) =>
        message.type === 'status' && message.message.includes('position 1 of 1 in line; 2 of 2 boxes are taken'),
    ),
  );
  const box = await boxOf(controller, third);
  expect(box.conditions.find(({ type }) => type === 'Ready')).toMatchObject({ reason: 'AdmissionWait' });
  expect(box.why.join()).toContain('waits: it waits for a place: position 1 of 1');
  expect(await installation.containers(third)).toEqual([]);
  const view = CapacityView.parse((await controller.ask('GET', '/v1/capacity')).json);
  expect(view).toMatchObject({ taken: { boxes: 2 }, waiting: [{ user: third, position: 1, priority: 'high' }] });

  await controller.ask('DELETE', `/v1/boxes/${second}/leases/job`);
  const hello = await terminal.message('hello');
  expect((await ready(controller, third)).containerId).toBe(hello.containerId);
  expect(await installation.containers(second)).toEqual([]);
  const gone = await boxOf(controller, second);
  expect(gone.lastReap).toMatchObject({ cause: 'gave-way' });
  expect(gone.why.join()).toContain('it gave way to others who waited for a box');
  expect(await ready(controller, first)).toMatchObject({ containerId: kept.containerId });
  await terminal.detach();
});
