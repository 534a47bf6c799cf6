import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import type { UserName } from '#shared/identity.ts';
import type { TerminalMode } from '#shared/terminal-token.ts';
import { createFakeExec } from '../gateway/fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from '../gateway/gateway-world.ts';
import { open, refusal, type TestClient } from '../gateway/test-client.ts';

const exec = createFakeExec();
let world: GatewayWorld;
let gateway: Gateway;

beforeAll(async () => {
  world = await createGatewayWorld(exec);
  gateway = await world.gateway();
});
afterEach(async () => await vi.waitFor(() => expect(gateway.sessions).toBe(0)));
afterAll(async () => await world?.close());

async function attached(mode: TerminalMode): Promise<{ user: UserName; client: TestClient; token: string }> {
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  const token = await world.token(user, { mode });
  const client = await open({ port: gateway.port, token });
  await client.message('hello');
  return { user, client, token };
}

test('a token that was let in is refused also when Redis has forgotten it', async () => {
  const { client, token } = await attached('rw');
  client.socket.close();
  await vi.waitFor(() => expect(gateway.sessions).toBe(0));
  await world.redis.flush();
  expect(await refusal({ port: gateway.port, token })).toEqual({ status: 401, code: 'token-used' });
});

describe('what is typed into a read-only terminal', () => {
  test('reaches no shell, not even the first key', async () => {
    const { client } = await attached('ro');
    client.type('a');
    await client.message('notice');
    client.type('b');
    client.tell({ type: 'ping', id: 1 });
    await client.message('pong');
    expect(exec.terminals.at(-1)?.typed).toEqual([]);
    client.socket.close();
  });
});

test('a terminal gives its lease back when the client goes', async () => {
  const { user, client } = await attached('rw');
  client.socket.terminate();
  await vi.waitFor(() => expect(gateway.sessions).toBe(0));
  expect(await world.store.read(user)).toMatchObject({ leases: [], ended: [{ endReason: 'released' }] });
});
