import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Boxes, createBoxes, createGatewayWorld, type GatewayWorld, secret } from './gateway-world.ts';
import { open } from './test-client.ts';
import { freePort } from '../support/redis.ts';

let boxes: Boxes;
let world: GatewayWorld;
let workdir: string;
const started: ChildProcess[] = [];

beforeAll(async () => {
  boxes = await createBoxes();
  world = await createGatewayWorld(boxes.exec);
  workdir = await mkdtemp(join(tmpdir(), 'spoonbox-gateway-'));
});
afterAll(async () => {
  for (const process of started) process.kill('SIGKILL');
  await world?.close();
  await boxes?.close();
  await rm(workdir, { recursive: true, force: true });
});

interface Started {
  readonly port: number;
  readonly process: ChildProcess;
  output(): string;
  exit: Promise<number | null>;
}

async function start(environment: Record<string, string> = {}): Promise<Started> {
  const port = await freePort();
  const child = spawn(process.execPath, ['gateway/src/main.ts'], {
    env: {
      PATH: process.env.PATH ?? '',
      SPOON_AGENT_WORKER_INTERNAL_TOKEN: secret,
      SPOON_AGENT_WORKDIR: workdir,
      SPOON_INSTALLATION_ID: world.installation,
      SPOON_REDIS_URL: world.redis.url,
      SPOON_GATEWAY_PORT: String(port),
      ...environment,
    },
  });
  started.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const exit = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : null));
  return { port, process: child, output: () => output, exit };
}

async function readyz(port: number): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
}

it('serves terminals, and drains on SIGTERM: clients told, shells gone, exit code 0', async () => {
  const gateway = await start();
  await vi.waitFor(async () => expect(await readyz(gateway.port)).toBe(200), { timeout: 30_000 });
  const user = world.newUser();
  const containerId = await boxes.start(user);
  await world.commit(user, { phase: 'ready', containerId });
  const client = await open({ port: gateway.port, token: await world.token(user) });
  await client.message('hello');
  client.type('sleep 500\n');
  await vi.waitFor(async () => expect(await boxes.processes(containerId)).toContain('sleep 500'));
  gateway.process.kill('SIGTERM');
  expect(await client.message('exit')).toMatchObject({ reason: 'restarting' });
  expect(await client.closed).toMatchObject({ code: 1012 });
  expect(await gateway.exit).toBe(0);
  expect(await boxes.processes(containerId)).toEqual([]);
  expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] });
  expect(gateway.output()).not.toContain('"level":"error"');
});

it('ends what a killed one has left of a session, before it opens a new shell in it', async () => {
  const [killed, next] = await Promise.all([start(), start()]);
  const areReady = async () => expect([await readyz(killed.port), await readyz(next.port)]).toEqual([200, 200]);
  await vi.waitFor(areReady, { timeout: 30_000 });
  const user = world.newUser();
  const containerId = await boxes.start(user);
  await world.commit(user, { phase: 'ready', containerId });
  const before = await open({ port: killed.port, token: await world.token(user, { session: 'left' }) });
  await before.message('hello');
  // Of one that writes to its terminal, the engine may end all by itself.
  before.type('yes >/dev/null\n');
  await vi.waitFor(async () => expect(await boxes.processes(containerId)).toContain('yes'), { timeout: 30_000 });
  const [old] = await world.store.sessions(user);
  killed.process.kill('SIGKILL');
  await before.closed;
  expect(await boxes.processes(containerId)).toContain('yes');
  // Its registration runs out; here, at once.
  await world.store.registerGateway({ id: old?.gateway ?? '', address: '', fingerprint: '' }, 0);
  const back = await open({ port: next.port, token: await world.token(user, { session: 'left' }), offset: 9 });
  expect(await back.message('hello')).toMatchObject({ start: 'new' });
  back.type('echo lives-$((20+22))\n');
  await back.sees('lives-42');
  expect(await boxes.processes(containerId)).toHaveLength(1);
  back.socket.close(1000);
  await vi.waitFor(async () => expect(await world.store.sessions(user)).toEqual([]), { timeout: 30_000 });
  expect(await boxes.processes(containerId)).toEqual([]);
});

it('waits for its engine and its Redis, and says in /readyz what is missing', async () => {
  const gateway = await start({ DOCKER_HOST: 'unix:///nowhere/docker.sock', SPOON_REDIS_URL: 'redis://127.0.0.1:1' });
  await vi.waitFor(async () => expect(await readyz(gateway.port)).toBe(503), { timeout: 30_000 });
  const answer = await fetch(`http://127.0.0.1:${gateway.port}/readyz`);
  expect(await answer.text()).toMatch(/Redis does not answer.*No Docker engine answers at unix:\/\/\/nowhere/);
  gateway.process.kill('SIGTERM');
  expect(await gateway.exit).toBe(0);
});

it('ends with one clear line where its port is taken, its settings are wrong, or Redis is another installation’s', async () => {
  const first = await start();
  await vi.waitFor(async () => expect(await readyz(first.port)).toBe(200), { timeout: 30_000 });
  const second = await start({ SPOON_GATEWAY_PORT: String(first.port) });
  expect(await second.exit).toBe(1);
  expect(second.output()).toContain(`Port ${first.port} on 127.0.0.1 is in use`);
  const misled = await start({ SPOON_GATEWAY_PORT: 'many' });
  expect(await misled.exit).toBe(78);
  const foreign = await start({ SPOON_INSTALLATION_ID: 'another' });
  expect(await foreign.exit).toBe(78);
  expect(foreign.output()).toContain('Redis holds the state of installation');
});
