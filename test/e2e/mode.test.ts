import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { EventList, LeaseReply } from '#shared/api-schemas.ts';
import { BoxStats, PlanView } from '#shared/operator-schemas.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { openTerminal } from '../support/terminal-client.ts';
import { boxOf, createInstallation, type Installation, lease, ready, until } from './installation.ts';

/** What an operator lets the reconciler do, on a real engine: what runs is touched by no mode. */

let installation: Installation;
let controller: ControllerProcess;
beforeAll(async () => {
  installation = await createInstallation();
  controller = await installation.controller();
  await installation.gateway();
});
afterEach(() => setMode({ mode: 'run' }));
afterAll(() => installation[Symbol.asyncDispose]());

async function setMode(body: object): Promise<void> {
  const { status, json } = await controller.ask('PUT', '/v1/reconciler/mode', body);
  if (status !== 200) throw new Error(`the mode was not set: ${status} ${JSON.stringify(json)}`);
}

const job = { kind: 'job', holder: 'test', ttlMs: 60_000 };

test('under a drain a new lease and a new terminal wait and say why; what runs goes on; afterwards the box comes', async () => {
  const old = installation.newUser('old');
  await lease(controller, old);
  const running = await ready(controller, old);
  const startedAt = await installation.startedAt(running.containerId);

  await setMode({ mode: 'drain', reason: 'the disk is changed' });
  const user = installation.newUser('new');
  const told = 'no new boxes are made: drained by internal token (the disk is changed)';
  const { json } = await controller.ask('PUT', `/v1/boxes/${user}/leases/job?waitMs=1500`, job);
  expect(LeaseReply.parse(json)).toMatchObject({ ready: false, waitsFor: told, box: { phase: 'absent' } });
  const terminal = await openTerminal(controller, user);
  await until('the terminal is told', () =>
    terminal.messages.some((message) => message.type === 'status' && message.message === told),
  );
  expect(await installation.containers(user)).toEqual([]);
  const plan = PlanView.parse((await controller.ask('GET', `/v1/boxes/${user}/plan`)).json);
  expect(plan).toMatchObject({ command: 'none', message: told });

  await setMode({ mode: 'run' });
  const hello = await terminal.message('hello');
  expect((await ready(controller, user)).containerId).toBe(hello.containerId);
  await terminal.detach();
  expect(await ready(controller, old)).toMatchObject({ containerId: running.containerId });
  expect(await installation.startedAt(running.containerId)).toBe(startedAt);
  const { items } = EventList.parse((await controller.ask('GET', `/v1/boxes/${user}/events?limit=50`)).json);
  const edges = items.flatMap(({ edge }) => (edge === null ? [] : [`${edge.from} → ${edge.to}`])).toReversed();
  expect(edges[0]).toBe('absent → provisioning.creating');
  expect(edges).toContain('provisioning.probing → ready.active');
  expect(items.map(({ reason }) => reason)).toContain('Drained');
});

test('under a pause a box that was killed stays dead, and others are not touched; afterwards it comes back', async () => {
  const [killed, other] = [installation.newUser('killed'), installation.newUser('other')];
  await Promise.all([lease(controller, killed), lease(controller, other)]);
  const [dead, alive] = await Promise.all([ready(controller, killed), ready(controller, other)]);
  const startedAt = await installation.startedAt(alive.containerId);
  const diedOf = await installation.startedAt(dead.containerId);

  await setMode({ mode: 'pause', reason: 'upgrade' });
  await installation.world.docker.docker.getContainer(dead.containerId).kill();
  const told = await until('its status says so', async () => {
    const box = await boxOf(controller, killed);
    return box.message.includes('paused by internal token (upgrade)') && !box.ready ? box : null;
  });
  expect(told).toMatchObject({ phase: 'ready', containerId: dead.containerId });
  await until('the other one says it beside', async () =>
    (await boxOf(controller, other)).message.startsWith('in use; the reconciler is paused'),
  );
  const terminal = await openTerminal(controller, killed);
  await until('a terminal waits, and is told', () =>
    terminal.messages.some((message) => message.type === 'status' && message.message === told.message),
  );
  // Every pass that the pause and the death led to has ended by now; one more, by hand.
  await lease(controller, killed, 0);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(await installation.containers(killed)).toEqual([{ id: dead.containerId, state: 'exited' }]);

  const stats = await controller.ask('GET', `/v1/boxes/${other}/stats`);
  expect(BoxStats.parse(stats.json)).toMatchObject({ user: other, cpus: null });
  expect((await controller.ask('GET', `/v1/boxes/${killed}/stats`)).status).toBe(409);

  const plan = PlanView.parse((await controller.ask('GET', `/v1/boxes/${killed}/plan`)).json);
  expect(plan.rule).toBe('an operator paused the reconciler: nothing is done');
  await setMode({ mode: 'run' });
  const again = await ready(controller, killed);
  expect(again.containerId).toBe(dead.containerId);
  expect(await terminal.message('hello')).toMatchObject({ containerId: dead.containerId });
  await terminal.detach();
  expect(await installation.startedAt(dead.containerId)).not.toBe(diedOf);
  expect(await ready(controller, other)).toMatchObject({ containerId: alive.containerId });
  expect(await installation.startedAt(alive.containerId)).toBe(startedAt);
});
