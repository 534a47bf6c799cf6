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
  await vi.waitFor(async () => expect(await readyz(gateway.port)).toBe(200), { timeout: 10_000 });
  const user = world.newUser();
  const containerId = await boxes.start(user);
  await world.commit(user, { phase: 'ready', containerId });
  const client = await open({ port: gateway.port, token: await world.token(user) });
  await client.message('hello');
  client.type('sleep 500\n');
  gateway.process.kill('SIGTERM');
  expect(await client.message('exit')).toMatchObject({ reason: 'restarting' });
  expect(await client.closed).toMatchObject({ code: 1012 });
  expect(await gateway.exit).toBe(0);
  expect(await boxes.processes(containerId)).toEqual([]);
  expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] });
  expect(gateway.output()).not.toContain('"level":"error"');
});

it('waits for its engine and its Redis, and says in /readyz what is missing', async () => {
  const gateway = await start({ DOCKER_HOST: 'unix:///nowhere/docker.sock', SPOON_REDIS_URL: 'redis://127.0.0.1:1' });
  await vi.waitFor(async () => expect(await readyz(gateway.port)).toBe(503), { timeout: 10_000 });
  const answer = await fetch(`http://127.0.0.1:${gateway.port}/readyz`);
  expect(await answer.text()).toMatch(/Redis does not answer.*No Docker engine answers at unix:\/\/\/nowhere/);
  gateway.process.kill('SIGTERM');
  expect(await gateway.exit).toBe(0);
});

it('ends with one clear line where its port is taken, its settings are wrong, or Redis is another installation’s', async () => {
  const first = await start();
  await vi.waitFor(async () => expect(await readyz(first.port)).toBe(200), { timeout: 10_000 });
  const second = await start({ SPOON_GATEWAY_PORT: String(first.port) });
  expect(await second.exit).toBe(1);
  expect(second.output()).toContain(`Port ${first.port} on 127.0.0.1 is in use`);
  const misled = await start({ SPOON_GATEWAY_PORT: 'many' });
  expect(await misled.exit).toBe(78);
  const foreign = await start({ SPOON_INSTALLATION_ID: 'another' });
  expect(await foreign.exit).toBe(78);
  expect(foreign.output()).toContain('Redis holds the state of installation');
});
