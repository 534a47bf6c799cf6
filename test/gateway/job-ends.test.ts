import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import type { GatewayLimits } from '../../gateway/src/limits.ts';
import { channel } from '#shared/exec-protocol.ts';
import type { UserName } from '#shared/identity.ts';
import { createFakeCommands, type FakeCommand } from './fake-commands.ts';
import { createFakeExec } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { apiToken, type BareJob, bareJob } from './jobs-world.ts';
import { open } from './test-client.ts';

/** What engines and clients do at the end of a command that is hard to bring about with real ones. */
let world: GatewayWorld;

beforeAll(async () => {
  world = await createGatewayWorld(createFakeExec());
});
afterAll(() => world?.close());

async function running(
  limits: Partial<GatewayLimits> = {},
  how = { reads: true },
  bearer = apiToken,
): Promise<{ gateway: Gateway; client: BareJob; command: FakeCommand; user: UserName }> {
  const commands = createFakeCommands(how);
  const gateway = await world.gateway({ jobs: { commands, apiToken }, limits });
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  const client = await bareJob(gateway.port, user, ['true'], { stdin: 'true' }, { bearer });
  const [command] = await vi.waitFor(() => {
    expect(commands.started).toHaveLength(1);
    return commands.started;
  });
  if (command === undefined) throw new Error('it was not started');
  return { gateway, client, command, user };
}

/** It takes nothing any more, though its connection lives. */
function stopReading(client: BareJob): void {
  client.socket.pause();
}

/** What it has sent fills the connection, and goes no further. */
async function isStuck({ socket }: Pick<BareJob, 'socket'>): Promise<void> {
  let before = 0;
  await vi.waitFor(
    () => {
      const left = socket.bufferedAmount;
      const isStill = left > 0 && left === before;
      before = left;
      expect(isStill).toBe(true);
    },
    { interval: 300 },
  );
}

const mebibyte = Buffer.alloc(1024 * 1024, 'x');

describe('a command whose output ends before it does', () => {
  it('is waited for, and has its exit code', async () => {
    const { client, command } = await running({ autopsyMs: 50 });
    command.says(Buffer.from('all that it says'));
    command.stream.push(null);
    await vi.waitFor(() => expect(command.looks).toBeGreaterThan(4));
    expect(command.ends).toBe(0);
    command.exits(7);
    expect((await client.status)?.details?.causes).toEqual([{ reason: 'ExitCode', message: '7' }]);
    expect(client.out().toString()).toBe('all that it says');
  });

  it('is ended when its client goes, also while that has sent more than it reads', async () => {
    const { gateway, client, command } = await running({ autopsyMs: 50 }, { reads: false });
    for (let sent = 0; sent < 10; sent += 1) client.send(channel.stdin, mebibyte);
    command.stream.push(null);
    await vi.waitFor(() => expect(command.looks).toBeGreaterThan(4));
    expect(command.ends).toBe(0);
    client.socket.terminate();
    await vi.waitFor(() => expect(gateway.jobs).toBe(0));
    expect(command.ends).toBe(1);
  });

  it('has no result where its connection broke instead', async () => {
    const { client, command } = await running({ autopsyMs: 50 });
    command.stream.destroy(new Error('the connection broke'));
    expect(await client.status).toMatchObject({ status: 'Failure', reason: 'BoxGone' });
    expect(command.ends).toBe(1);
  });
});

describe('a client that goes away while its input is held', () => {
  it('is noticed, and its command ended', async () => {
    const { client, command, gateway } = await running({}, { reads: false });
    for (let sent = 0; sent < 10; sent += 1) client.send(channel.stdin, mebibyte);
    await isStuck(client);
    client.socket.terminate();
    await vi.waitFor(() => expect(command.ends).toBe(1));
    await vi.waitFor(() => expect(gateway.jobs).toBe(0));
  });

  it('has gone only then: one that merely waits is asked for no answers, which would pile up behind its input', async () => {
    const { client, command, gateway } = await running({ heldPongEveryMs: 5 }, { reads: false });
    for (let sent = 0; sent < 10; sent += 1) client.send(channel.stdin, mebibyte);
    await isStuck(client);
    let heard = 0;
    for (const sign of ['ping', 'pong']) client.socket.on(sign, () => (heard += 1));
    await vi.waitFor(() => expect(heard).toBeGreaterThan(100)); // a client of ws gives up at 64
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    expect(command.ends).toBe(0);
    client.socket.terminate();
    await vi.waitFor(() => expect(gateway.jobs).toBe(0));
  });

  it('is noticed at a terminal, too, which then does not hold the box', async () => {
    const exec = createFakeExec();
    const gateway = await world.gateway({ exec, limits: { graceMs: 60_000 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: gateway.port, token: await world.token(user) });
    await client.message('hello');
    const [terminal] = exec.terminals;
    if (terminal) terminal.stream._write = () => {}; // its program reads nothing
    for (let sent = 0; sent < 40; sent += 1) client.type(mebibyte.subarray(0, 500_000));
    await isStuck(client);
    client.socket.terminate();
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toEqual([]));
    expect(terminal?.hangUps).toBe(0);
  });
});

describe('a client that does not read', () => {
  it('is cut where what its ended command has left behind writes on and on', async () => {
    const endedOutputBytes = 2 * mebibyte.length;
    const { client, command, gateway } = await running({ endedOutputBytes, pausedCheckMs: 20 });
    stopReading(client);
    command.exits(0);
    // More than any connection holds, were there no bound.
    const mostBytes = 128 * mebibyte.length;
    let said = 0;
    await vi.waitFor(
      () => {
        if (gateway.jobs === 0) return;
        if (said < mostBytes && command.stream.readableLength === 0) {
          command.says(mebibyte);
          said += mebibyte.length;
        }
        throw new Error(`it goes on after ${said} bytes`);
      },
      { interval: 5 },
    );
    expect(said).toBeLessThan(mostBytes);
    client.socket.resume();
    expect(await client.status).toBeNull();
  });

  it('does not keep the place of its command for ever', async () => {
    const { client, command, gateway } = await running({ statusWithinMs: 200 });
    stopReading(client);
    for (let said = 0; said < 20; said += 1) command.says(mebibyte);
    command.exits(0);
    command.stream.push(null);
    await vi.waitFor(() => expect(gateway.jobs).toBe(0));
    client.socket.terminate();
  });
});

describe('a command whose token of the API', () => {
  const limits = { tokenCheckEveryMs: 50 };

  async function made(ttlMs?: number): Promise<{ id: string; token: string }> {
    const token = await world.access.makeToken({ name: 'of the test', role: 'jobs', ...(ttlMs && { ttlMs }) });
    if (token === null) throw new Error('there is no room for a token');
    return token;
  }

  it('is revoked is ended soon, with the reason, and one of another token goes on', async () => {
    const [mine, other] = [await made(), await made()];
    const revoked = await running(limits, undefined, mine.token);
    const goesOn = await running(limits, undefined, other.token);
    await world.access.revokeToken(mine.id);
    const status = await revoked.client.status;
    expect(status).toMatchObject({ status: 'Failure', reason: 'TokenRefused' });
    expect(status?.message).toContain('the token that it was begun with was revoked');
    await vi.waitFor(() => expect(revoked.gateway.jobs).toBe(0));
    expect([revoked.command.ends, goesOn.command.ends, goesOn.gateway.jobs]).toEqual([1, 0, 1]);
    goesOn.client.socket.terminate();
  });

  it('expires is ended, too', async () => {
    const { client } = await running(limits, undefined, (await made(2_000)).token);
    expect((await client.status)?.message).toContain('the token that it was begun with has expired');
  });

  it('cannot be looked up because Redis is away goes on', async () => {
    const apart = await createGatewayWorld(createFakeExec());
    const commands = createFakeCommands();
    const gateway = await apart.gateway({ jobs: { commands, apiToken }, limits });
    const user = apart.newUser();
    await apart.commit(user, { phase: 'ready', containerId: 'c1' });
    const token = await apart.access.makeToken({ name: 'of the test', role: 'jobs' });
    const client = await bareJob(gateway.port, user, ['true'], {}, { bearer: token?.token ?? '' });
    await vi.waitFor(() => expect(commands.started).toHaveLength(1));
    await apart.redis.stop();
    const failed = (): boolean => apart.logged.join('').includes('whether a command may go on could not be looked up');
    await vi.waitFor(() => expect(failed()).toBe(true));
    expect([gateway.jobs, commands.started[0]?.ends]).toEqual([1, 0]);
    await apart.redis.restart();
    client.socket.terminate();
    await apart.close();
  });
});
