import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import { EngineError } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import type { VaultEnvironment } from '#shared/vault-store.ts';
import { createFakeExec, type FakeTerminal } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { open, type TestClient } from './test-client.ts';

const exec = createFakeExec();
let world: GatewayWorld;
let gateway: Gateway;
let client: TestClient;

beforeAll(async () => {
  world = await createGatewayWorld(exec);
  gateway = await world.gateway({ limits: { renewEveryMs: 60_000, quietMs: 300, restartMinMs: 20 } });
});
afterEach(async () => {
  client.socket.terminate();
  await vi.waitFor(() => expect(gateway.sessions).toBe(0));
});
afterAll(async () => await world?.close());

async function attached(): Promise<{ user: UserName; shell: FakeTerminal }> {
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  client = await open({ port: gateway.port, token: await world.token(user) });
  await client.message('hello');
  return { user, shell: latest() };
}

function latest(): FakeTerminal {
  const shell = exec.terminals.at(-1);
  if (!shell) throw new Error('no shell was started');
  return shell;
}

describe('the size of a terminal', () => {
  const resized = { cols: 100, rows: 50 };

  it('is asked for again where the engine failed, and the last one wins', async () => {
    const { shell } = await attached();
    shell.says('$ ');
    shell.resizeFailures.push(new Error('busy'), new Error('busy'));
    client.tell({ type: 'resize', ...resized });
    await vi.waitFor(() => expect(shell.sizes).toEqual([resized, resized, resized]));
    client.tell({ type: 'resize', cols: 80, rows: 24 });
    await vi.waitFor(() => expect(shell.sizes.at(-1)).toEqual({ cols: 80, rows: 24 }));
    expect(shell.sizes).toHaveLength(4);
  });

  it('is given up after three tries', async () => {
    const { shell } = await attached();
    shell.says('$ ');
    shell.resizeFailures.push(...Array.from({ length: 5 }, () => new Error('never')));
    client.tell({ type: 'resize', ...resized });
    await vi.waitFor(() => expect(shell.sizes).toHaveLength(3));
    client.type('x');
    await vi.waitFor(() => expect(shell.typed.length).toBeGreaterThan(0));
    expect(shell.sizes).toHaveLength(3);
  });

  it('is that of who came last, also where it has changed to and fro while the shell was being started', async () => {
    const [read, begun] = [Promise.withResolvers<VaultEnvironment>(), Promise.withResolvers<void>()];
    const slow = createFakeExec();
    const served = await world.gateway({
      environment: () => read.promise,
      exec: {
        ...slow,
        async open(start, signal) {
          await begun.promise;
          return await slow.open(start, signal);
        },
      },
    });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const join = async (size: { cols: number; rows: number }): Promise<TestClient> => {
      const joined = await open({ port: served.port, token: await world.token(user, { session: 'to-and-fro' }), size });
      // Nothing tells from outside that it is in: where it is not yet, this test proves less, and fails no more.
      await new Promise((resolve) => setTimeout(resolve, 100));
      return joined;
    };
    const usual = { cols: 80, rows: 24 };
    client = await join(usual);
    const other = await join(resized);
    read.resolve({ variables: {}, unreadable: [] });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const last = await join(usual);
    begun.resolve();
    await client.message('hello');
    const [shell] = slow.terminals;
    expect(shell?.sizes.at(-1) ?? shell?.start.size).toEqual(usual);
    for (const { socket } of [client, other, last]) socket.close(1000);
    await vi.waitFor(() => expect(served.sessions).toBe(0));
  });
});

describe('a client whose box is waited for', () => {
  it('is resized meanwhile: its shell gets that size, and its hello tells it', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'provisioning' });
    client = await open({ port: gateway.port, token: await world.token(user) });
    await client.message('status');
    client.tell({ type: 'resize', cols: 100, rows: 50 });
    client.tell({ type: 'ping' });
    await client.message('pong');
    const before = exec.terminals.length;
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    expect(await client.message('hello')).toMatchObject({ cols: 100, rows: 50 });
    expect(exec.terminals).toHaveLength(before + 1);
    await vi.waitFor(() => expect(latest().sizes.at(-1)).toEqual({ cols: 100, rows: 50 }));
  });
});

describe('who comes to a new box', () => {
  const lastReap = { cause: 'idle', at: Date.now() - 3_600_000, message: '' } as const;
  const reaped = {
    code: 'last-reap',
    message: expect.stringMatching(/was reaped because nobody needed it any more, 1 h/),
  };

  it('is told what became of the one before, once', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1', lastReap });
    client = await open({ port: gateway.port, token: await world.token(user) });
    expect(await client.message('notice')).toMatchObject(reaped);
    const other = await open({ port: gateway.port, token: await world.token(user) });
    await other.message('hello');
    latest().says('$ ');
    await other.sees('$ ');
    expect(other.messages.filter(({ type }) => type === 'notice')).toEqual([]);
    other.socket.terminate();
  });

  it('is told so, too, where it has waited for it', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'provisioning' });
    client = await open({ port: gateway.port, token: await world.token(user) });
    await client.message('status');
    await world.commit(user, { phase: 'ready', containerId: 'c1', lastReap });
    expect(await client.message('notice')).toMatchObject(reaped);
  });
});

describe('the lease of a terminal', () => {
  it('is a terminal lease of 30 s, and the session is recorded beside it', async () => {
    const before = await world.store.gateways();
    const { user } = await attached();
    expect((await world.store.read(user)).leases).toMatchObject([{ kind: 'terminal', ttlMs: 30_000 }]);
    await vi.waitFor(async () => expect((await world.store.read(user)).sessions).toHaveLength(1));
    const { sessions, now } = await world.store.read(user);
    expect(sessions[0]?.startedAt).toBeGreaterThanOrEqual(before.now);
    expect(sessions[0]?.startedAt).toBeLessThanOrEqual(now);
  });

  it('carries the first key after a quiet spell at once, so that an idle reap sees it', async () => {
    const { user } = await attached();
    client.type('a');
    await vi.waitFor(async () => expect((await world.store.read(user)).desired?.lastActivityCause).toBe('input'));
    const first = (await world.store.read(user)).desired?.lastInputAt ?? 0;
    await new Promise((resolve) => setTimeout(resolve, 400));
    client.type('b');
    await vi.waitFor(async () => expect((await world.store.read(user)).desired?.lastInputAt).toBeGreaterThan(first));
  });

  it('is told of no input where a terminal only answers what a program asks', async () => {
    const { user, shell } = await attached();
    client.type('\u001b[?1;2c\u001b[24;80R');
    await vi.waitFor(() => expect(Buffer.concat(shell.typed).toString()).toBe('\u001b[?1;2c\u001b[24;80R'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await world.store.read(user)).desired?.lastActivityCause).not.toBe('input');
    client.type('a');
    await vi.waitFor(async () => expect((await world.store.read(user)).desired?.lastActivityCause).toBe('input'));
  });

  it.each([
    ['reap', 'reaped', 4410],
    ['delete', 'deleted', 4411],
  ] as const)(
    'ended by a %s, closes the terminal in plain words and hangs up the shell',
    async (wish, reason, code) => {
      const { user, shell } = await attached();
      await world.store.wish(user, { wish }, 'an operator');
      await world.commit(user, { phase: 'reaping', step: 'stopping', containerId: 'c1' });
      expect(await client.message('exit')).toMatchObject({
        reason,
        message: expect.stringContaining('only the home survives'),
      });
      expect(await client.closed).toMatchObject({ code });
      await vi.waitFor(() => expect(shell.hangUps).toBe(1));
    },
  );

  it('given back by somebody else, closes the terminal', async () => {
    const { user } = await attached();
    const [lease] = (await world.store.read(user)).leases;
    if (!lease) throw new Error('no lease');
    await world.store.release(user, lease.id, 'an operator');
    await world.commit(user, { phase: 'ready', containerId: 'c1', message: 'changed' });
    expect(await client.closed).toMatchObject({ code: 4413 });
  });

  it('lost by Redis, is taken again', async () => {
    const { user } = await attached();
    await world.redis.flush();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toHaveLength(1));
    client.type('x');
    await vi.waitFor(() => expect(Buffer.concat(latest().typed).toString()).toBe('x'));
  });
});

describe('a shell that ends', () => {
  it('with an exit code: all its output first, then the code', async () => {
    const { shell } = await attached();
    shell.says('last words');
    shell.ends({ exitCode: 3 });
    expect(await client.message('exit')).toMatchObject({ code: 3, reason: 'exited' });
    expect(client.text()).toBe('last words');
    expect(await client.closed).toMatchObject({ code: 1000 });
    expect(shell.hangUps).toBe(0);
  });

  it('with 127 at once, and again and again, was never started', async () => {
    await attached();
    for (const start of [0, 1, 2]) {
      await client.message('hello', start);
      latest().says('there is no shell in this image');
      latest().ends({ exitCode: 127 });
    }
    expect(await client.message('exit')).toMatchObject({ code: 127, reason: 'not-started' });
  });

  it('with 126 at once, as where the engine is just being stopped, is followed by a new one', async () => {
    const { shell } = await attached();
    shell.ends({ exitCode: 126 });
    expect(await client.message('notice')).toMatchObject({ code: 'start-again' });
    await client.message('hello', 1);
    client.type('x');
    await vi.waitFor(() => expect(Buffer.concat(latest().typed).toString()).toBe('x'));
  });

  it('killed in a box that stays ready, ends the terminal', async () => {
    const { shell } = await attached();
    shell.ends({ exitCode: 137 });
    expect(await client.message('exit')).toMatchObject({ code: 137, reason: 'exited' });
  });

  it('hung up by a box that is being recreated, is followed by a new one', async () => {
    const { user, shell } = await attached();
    await world.commit(user, { phase: 'reaping', step: 'stopping', containerId: 'c1' });
    shell.ends({ exitCode: 129 });
    expect(await client.message('notice')).toMatchObject({ code: 'box-gone' });
    client.type('meant for the old shell');
    await client.message('status');
    await world.commit(user, { phase: 'ready', containerId: 'c2' });
    expect(await client.message('hello', 1)).toMatchObject({ containerId: 'c2' });
    client.type('new');
    await vi.waitFor(() => expect(Buffer.concat(latest().typed).toString()).toBe('new'));
  });

  it('because the connection broke, is ended for certain before the next one', async () => {
    const { shell } = await attached();
    shell.stream.destroy(); // its process runs on
    expect(await client.message('notice')).toMatchObject({ code: 'box-gone' });
    await client.message('hello', 1);
    expect(shell.hangUps).toBe(1);
  });
});

describe('a shell that cannot be started', () => {
  it('is tried again, with the reason told', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const fault = { operation: 'exec-create', status: 500, message: 'the engine is upset' } as const;
    exec.failures.push(new EngineError({ ...fault, kind: 'failed' }), new EngineError({ ...fault, kind: 'conflict' }));
    client = await open({ port: gateway.port, token: await world.token(user) });
    expect(await client.message('notice')).toMatchObject({ message: expect.stringContaining('the engine is upset') });
    await client.message('hello');
  });

  it('by a defect of ours, closes with 1011 and gives everything back', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    exec.failures.push(new Error('a defect'));
    client = await open({ port: gateway.port, token: await world.token(user), saysSize: false });
    expect(await client.closed).toMatchObject({ code: 1011 });
    await vi.waitFor(async () => expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] }));
  });
});

describe('a raw client that takes nothing', () => {
  it('pauses its shell after a bounded backlog, and gets every byte when it goes on', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const before = exec.terminals.length;
    client = await open({ port: gateway.port, token: await world.token(user), raw: true });
    await vi.waitFor(() => expect(exec.terminals.length).toBe(before + 1));
    const shell = latest();
    await vi.waitFor(() => expect(shell.stream.readableFlowing).toBe(true));
    client.socket.pause();
    const chunk = 'x'.repeat(65_536);
    let sent = 0;
    while (!shell.stream.isPaused() && sent < 64 * 1024 * 1024) {
      shell.says(chunk);
      sent += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeLessThan(16 * 1024 * 1024); // our bound, and what the kernel holds
    client.socket.resume();
    await vi.waitFor(() => expect(client.output().length).toBe(sent));
    expect(shell.stream.isPaused()).toBe(false);
  });
});

describe('a client that is silent', () => {
  it('is cut after two rounds of pings, and its shell hung up', async () => {
    const brisk = await world.gateway({ limits: { pingEveryMs: 300 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    client = await open({ port: brisk.port, token: await world.token(user) });
    await client.message('hello');
    let pings = 0;
    client.socket.on('ping', () => {
      pings += 1;
    });
    await vi.waitFor(() => expect(pings).toBe(4));
    expect(brisk.sessions).toBe(1); // pings are answered
    client.socket.pause();
    await vi.waitFor(() => expect(brisk.sessions).toBe(0));
    expect(latest().hangUps).toBe(1);
  });
});
