import { SignJWT } from 'jose';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { UserName } from '#shared/identity.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import { open, refusal } from '../gateway/test-client.ts';
import { type ControllerProcess, type ControllerWorld, createControllerWorld } from '../support/controller-process.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { legacyEnvironment } from '../support/legacy-env.ts';
import { freePort } from '../support/redis.ts';

/** The `.env` of a deployment that ran Spoon's own worker, unchanged but for where this machine has its folders. */

let world: ControllerWorld;
let environment: Record<string, string>;
let controller: ControllerProcess;
const gateways: GatewayProcess[] = [];
const secret = legacyEnvironment().SPOON_AGENT_WORKER_INTERNAL_TOKEN ?? '';

beforeAll(async () => {
  world = await createControllerWorld();
  const { workdir } = world.docker;
  const folders = { SPOON_AGENT_WORKDIR: workdir, SPOON_AGENT_HOST_WORKDIR: workdir };
  environment = { ...world.environment, ...legacyEnvironment(), ...folders };
  controller = await world.startController(environment);
  await controller.converged();
});
afterAll(async () => {
  for (const gateway of gateways) await gateway.kill();
  await world?.[Symbol.asyncDispose]();
});

async function startGateway(more: Record<string, string> = {}): Promise<GatewayProcess> {
  const gateway = await startGatewayProcess({ ...environment, ...more }, await freePort());
  gateways.push(gateway);
  return gateway;
}

function spoonToken(user: string): Promise<string> {
  const jwt = new SignJWT({ username: user })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt()
    .setExpirationTime('60s');
  return jwt.sign(new TextEncoder().encode(secret));
}

it('starts both processes: a terminal opens in a box, by a token of the shared secret, from a page of any origin', async () => {
  const gateway = await startGateway();
  const { token } = await signTerminalToken(secret, { user: UserName.parse('alice'), mode: 'rw' });
  const client = await open({ port: gateway.port, token, origin: 'https://spoon.example.org' });
  await client.message('hello');
  client.type('echo "at=$PWD"\n');
  await client.sees('at=/home/spoon', 30_000);
  client.socket.close(1000);
  for (const process of [controller, gateway]) {
    const warned = process.lines.filter((line) => line.includes('"level":"warn"')).join('\n');
    expect(warned).toContain('SPOON_AGENT_TERMINAL_IDLE_MS has no effect any more: SPOON_AGENT_BOX_IDLE_MS governs');
    expect(warned).toContain('SPOON_AGENT_MAX_CONCURRENT_JOBS is not a variable of Spoonbox');
    expect(process.lines.join('\n')).not.toContain('"level":"error"');
    expect(process.lines.join('\n')).not.toContain('fixture-instance-secret');
  }
  // Its own tokens wait for a word of whoever runs it.
  expect(await refusal({ port: gateway.port, token: await spoonToken('alice'), raw: true })).toMatchObject({
    status: 401,
  });
  await vi.waitFor(() => expect(gateway.lines.join('\n')).toContain('SPOON_LEGACY_TOKENS=1'));
});

it('takes the worker’s own tokens at the path where its pages look, with one more line', async () => {
  const gateway = await startGateway({ SPOON_LEGACY_TOKENS: '1' });
  const client = await open({ port: gateway.port, token: await spoonToken('alice'), raw: true, path: '/' });
  client.type('echo "at=$PWD"\n');
  await client.sees('at=/home/spoon', 30_000);
  client.socket.close(1000);
});
