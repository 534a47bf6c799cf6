import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { UserName } from '#shared/identity.ts';
import { type Boxes, createBoxes, createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { apiToken, bareJob, commandsOn } from './jobs-world.ts';
import { open } from './test-client.ts';

/** The variables of a vault on the real engine: in every process that is started, and in nothing that an engine tells. */

let boxes: Boxes;
let world: GatewayWorld;
const secret = 'a secret with spaces, "quotes", $HOME and ü';
const environment = { GIT_TOKEN: secret };

beforeAll(async () => {
  boxes = await createBoxes();
  world = await createGatewayWorld(boxes.exec);
});
afterAll(async () => {
  await world?.close();
  await boxes?.close();
});

async function readyBox(): Promise<{ user: UserName; containerId: string }> {
  const user = world.newUser();
  const containerId = await boxes.start(user);
  await world.commit(user, { phase: 'ready', containerId });
  return { user, containerId };
}

/** All that the engine says of a box and of what runs in it. */
async function toldOf(containerId: string): Promise<string> {
  const container = await boxes.docker.getContainer(containerId).inspect();
  const execs = await Promise.all((container.ExecIDs ?? []).map((id: string) => boxes.docker.getExec(id).inspect()));
  expect(execs.length).toBeGreaterThan(0);
  return JSON.stringify([container, execs, await boxes.docker.getContainer(containerId).top()]);
}

it.each(['none', 'tmux'] as const)('a shell has them, with persist: %s', async (persist) => {
  const gateway = await world.gateway({
    environment: async () => ({ variables: environment, unreadable: [] }),
    persist,
  });
  const { user, containerId } = await readyBox();
  const client = await open({ port: gateway.port, token: await world.token(user) });
  await client.message('hello');
  client.type('echo "<$GIT_TOKEN>"\n');
  await client.sees(`<${secret}>`);
  expect(await toldOf(containerId)).not.toContain('a secret with');
  client.socket.terminate();
});

it('a command has them', async () => {
  const jobs = { commands: commandsOn(boxes.connect), apiToken };
  const gateway = await world.gateway({ environment: async () => ({ variables: environment, unreadable: [] }), jobs });
  const { user, containerId } = await readyBox();
  const job = await bareJob(gateway.port, user, ['sh', '-c', 'echo "<$GIT_TOKEN>"; read wait'], { stdin: '1' });
  await vi.waitFor(() => expect(job.out().toString()).toBe(`<${secret}>\n`));
  expect(await toldOf(containerId)).not.toContain('a secret with');
  job.send(0, 'go\n');
  expect((await job.status)?.status).toBe('Success');
  expect(world.logged.join('')).not.toContain('a secret with');
});
