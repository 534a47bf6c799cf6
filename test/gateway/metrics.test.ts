import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import { Traffic } from '../../gateway/src/metrics/traffic.ts';
import { GatewayMeter } from '../../gateway/src/metrics/gateway-meter.ts';
import { EngineError } from '#shared/faults.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sampleOf } from '../support/exposition.ts';
import { createFakeExec } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { connect, open } from './test-client.ts';

/** What a gateway counts. */

const exec = createFakeExec();
let world: GatewayWorld;
let gateway: Gateway;

beforeAll(async () => {
  world = await createGatewayWorld(exec);
});
beforeEach(async () => {
  gateway = await world.gateway({ limits: { ringBytes: 64 * 1024, sessionsPerUser: 2 } });
});
afterAll(async () => await world?.close());

async function value(sample: string): Promise<number> {
  return sampleOf(await (await fetch(`http://127.0.0.1:${gateway.port}/metrics`)).text(), sample);
}

async function attached() {
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  const client = await open({ port: gateway.port, token: await world.token(user), acks: false });
  await client.message('hello');
  const shell = exec.terminals.at(-1);
  if (!shell) throw new Error('no shell was started');
  return { user, client, shell };
}

it('bytes are counted as the shell says and is told them, and each answer to a key as an echo', async () => {
  const { client, shell } = await attached();
  shell.says('prompt');
  await client.sees('prompt');
  expect(await value('spoonbox_gateway_echo_seconds_count')).toBe(0);
  client.type('ls');
  await vi.waitFor(() => expect(shell.typed.length).toBe(1));
  shell.says('ls');
  await client.sees('promptls');
  shell.says('out');
  await client.sees('promptlsout');
  expect(await value('spoonbox_gateway_output_bytes_total')).toBe('promptlsout'.length);
  expect(await value('spoonbox_gateway_input_bytes_total')).toBe(2);
  expect(await value('spoonbox_gateway_echo_seconds_count')).toBe(1);
});

it('a shell that nobody takes output from counts as held until somebody does', async () => {
  const { client, shell } = await attached();
  const chunk = 'x'.repeat(64 * 1024);
  for (let i = 0; i < 8; i += 1) shell.says(chunk);
  await vi.waitFor(async () => expect(await value('spoonbox_gateway_paused_streams')).toBe(1));
  expect(await value('spoonbox_gateway_pauses_total')).toBe(1);
  client.tell({ type: 'ack', bytes: client.output().length });
  await vi.waitFor(() => expect(shell.stream.isPaused()).toBe(false));
  client.socket.close(1000);
  await vi.waitFor(async () => expect(await value('spoonbox_gateway_sessions')).toBe(0));
  expect(await value('spoonbox_gateway_paused_streams')).toBe(0);
});

it('who is let in counts, and who is refused by the code of that', async () => {
  const { user } = await attached();
  await open({ port: gateway.port, token: await world.token(user) });
  const third = await connect({ port: gateway.port, token: await world.token(user) });
  if ('closed' in third) expect(await third.closed).toMatchObject({ code: 4429 });
  await connect({ port: gateway.port, token: 'none' });
  expect(await value('spoonbox_gateway_admissions_total{kind="terminal",result="admitted"}')).toBe(2);
  expect(await value('spoonbox_gateway_admissions_total{kind="terminal",result="too-many-sessions"}')).toBe(1);
  expect(await value('spoonbox_gateway_admissions_total{kind="terminal",result="token-malformed"}')).toBe(1);
});

it('starts of shells count by how they ended', async () => {
  exec.failures.push(new EngineError({ kind: 'failed', operation: 'exec-start', status: 500, message: 'no' }));
  await attached();
  expect(await value('spoonbox_gateway_exec_start_seconds_count{kind="terminal",result="failed"}')).toBe(1);
  expect(await value('spoonbox_gateway_exec_start_seconds_count{kind="terminal",result="ok"}')).toBe(1);
});

it('an echo is measured from the first key that was not answered yet, and not over two shells', async () => {
  const meter = new GatewayMeter();
  const clock = new FakeClock();
  const traffic = new Traffic(meter, clock);
  const sum = async (): Promise<number> =>
    sampleOf(await meter.registry.metrics(), 'spoonbox_gateway_echo_seconds_sum');
  traffic.input(1);
  await clock.advance(200);
  traffic.input(1);
  await clock.advance(100);
  traffic.output(2);
  expect(await sum()).toBeCloseTo(0.3);
  traffic.input(1);
  traffic.newShell();
  await clock.advance(60_000);
  traffic.output(10);
  expect(await sum()).toBeCloseTo(0.3);
});
