import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import type { UserName } from '#shared/identity.ts';
import type { TerminalMode } from '#shared/terminal-mode.ts';
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

async function attached(
  mode: TerminalMode,
  at = gateway,
): Promise<{ user: UserName; client: TestClient; token: string }> {
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  const token = await world.token(user, { mode });
  const client = await open({ port: at.port, token });
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

describe('a terminal', () => {
  test('says why before it closes, and in the close', async () => {
    const { client } = await attached('rw');
    client.tell({ type: 'exec' });
    const { code, message } = await client.message('error');
    expect([code, message]).toEqual(['bad-message', expect.stringContaining('type')]);
    expect(await client.closed).toEqual({ code: 4400, reason: message });
    const { client: other } = await attached('rw');
    exec.terminals.at(-1)?.ends({ exitCode: 3 });
    const exit = await other.message('exit');
    expect(exit).toMatchObject({ code: 3, reason: 'exited' });
    expect(await other.closed).toEqual({ code: 1000, reason: exit.message });
  });
});

describe('what is typed', () => {
  test('is held back while the shell takes none, and a client that goes meanwhile is noticed by the pings', async () => {
    const brisk = await world.gateway({ limits: { pingEveryMs: 1_000 } });
    const { client } = await attached('rw', brisk);
    const shell = exec.terminals.at(-1);
    if (shell === undefined) throw new Error('there is no shell');
    shell.stream._write = () => {};
    const frame = Buffer.alloc(512 * 1024, 'x');
    for (let sent = 0; sent < 128; sent += 1) client.socket.send(frame);
    let before = -1;
    const stands = (): void => {
      const now = shell.stream.writableLength;
      const isTheSame = now === before && now > 0;
      before = now;
      expect(isTheSame).toBe(true);
    };
    await vi.waitFor(stands, { interval: 500, timeout: 20_000 });
    // Of 64 MB: what the shell's buffer holds, and what was being read.
    expect(shell.stream.writableLength).toBeLessThan(8 * 1024 ** 2);
    expect(brisk.sessions).toBe(1);
    client.socket.terminate();
    await vi.waitFor(() => expect(brisk.sessions).toBe(0));
    expect(shell.hangUps).toBe(1);
  });
});
