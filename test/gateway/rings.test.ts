import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createFakeExec } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { open } from './test-client.ts';

const exec = createFakeExec();
let world: GatewayWorld;

beforeAll(async () => {
  world = await createGatewayWorld(exec);
});
afterAll(async () => await world?.close());

it('all terminals of a gateway keep so much output together; whose half is gone comes back to a screen', async () => {
  const gateway = await world.gateway({ limits: { ringsBytes: 32 * 1024, graceMs: 60_000 } });
  const ringBytes = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${gateway.port}/metrics`)).text();
    return Number(/^spoonbox_gateway_ring_bytes (\d+)$/m.exec(text)?.[1]);
  };
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  const said = 'x'.repeat(20 * 1024);
  const attached = async (session: string) => {
    const client = await open({ port: gateway.port, token: await world.token(user, { session }) });
    const { ticket } = await client.message('hello');
    exec.terminals.at(-1)?.says(said);
    await vi.waitFor(() => expect(client.output().length).toBe(said.length));
    return { client, ticket: ticket ?? '' };
  };
  const first = await attached('first');
  expect(await ringBytes()).toBe(32 * 1024);
  first.client.socket.terminate();
  await first.client.closed;
  const second = await attached('second');
  expect(await ringBytes()).toBe(32 * 1024);
  const back = await open({ port: gateway.port, ticket: first.ticket, offset: 10 });
  expect(await back.message('hello')).toMatchObject({ start: 'screen', offset: said.length });
  back.socket.close(1000);
  second.client.socket.close(1000);
  await vi.waitFor(() => expect(gateway.sessions).toBe(0));
  expect(await ringBytes()).toBe(0);
});
