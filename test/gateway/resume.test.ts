import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { defaultConnectRates } from '../../gateway/src/connect-rate.ts';
import type { Gateway } from '../../gateway/src/gateway.ts';
import { ModeTracker } from '../../gateway/src/modes.ts';
import { LeaseId, type UserName } from '#shared/identity.ts';
import { createFakeExec, type FakeTerminal } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { type ConnectOptions, open, type TestClient } from './test-client.ts';

const exec = createFakeExec();
const ringBytes = 4_096;
let world: GatewayWorld;
let gateway: Gateway;
const clients: TestClient[] = [];

beforeAll(async () => {
  world = await createGatewayWorld(exec);
  gateway = await world.gateway({ limits: { graceMs: 60_000, ringBytes, renewEveryMs: 60_000 } });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.close(1000);
  for (const terminal of exec.terminals) if (!terminal.stream.destroyed) terminal.ends({ exitCode: 0 });
  await vi.waitFor(() => expect(gateway.sessions).toBe(0));
});
afterAll(async () => await world?.close());

describe('modes that output has set', () => {
  it('are remembered when it is dropped, also where it came in pieces', () => {
    const modes = new ModeTracker();
    for (const piece of ['x\u001b[?10', '49', 'h', '\u001b', '[?2004;1', 'h\u001b[?1049l', '\u001b[31m']) {
      modes.look(Buffer.from(piece));
    }
    expect(modes.sequences()).toBe('\u001b[?2004h\u001b[?1h\u001b[?1049l');
  });
});

async function come(options: Partial<ConnectOptions> = {}): Promise<TestClient> {
  const client = await open({ port: gateway.port, ...options });
  clients.push(client);
  return client;
}

async function attached(session: string): Promise<{ user: UserName; shell: FakeTerminal; client: TestClient }> {
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  const client = await come({ token: await world.token(user, { session }) });
  await client.message('hello');
  return { user, shell: latest(), client };
}

function latest(): FakeTerminal {
  const shell = exec.terminals.at(-1);
  if (!shell) throw new Error('no shell was started');
  return shell;
}

/** As a network does it: nobody says goodbye. */
async function cut(client: TestClient): Promise<{ ticket: string; offset: number }> {
  const { ticket } = await client.message('hello');
  client.socket.terminate();
  await client.closed;
  return { ticket: ticket ?? '', offset: client.output().length };
}

describe('a client that comes back', () => {
  it('gets exactly the bytes that it misses, once, from the same shell', async () => {
    const { shell, client } = await attached('exact');
    shell.says('one ');
    await client.sees('one ');
    const resume = await cut(client);
    shell.says('two ');
    const back = await come(resume);
    expect(await back.message('hello')).toMatchObject({ start: 'exact', offset: 4, replayBytes: 0 });
    shell.says('three');
    await back.sees('three');
    expect(back.text()).toBe('two three');
    expect(shell.hangUps).toBe(0);
    back.type('x');
    await vi.waitFor(() => expect(Buffer.concat(shell.typed).toString()).toBe('x'));
  });

  it('gets a clean screen where the bytes are gone, and then all that follows', async () => {
    const { shell, client } = await attached('screen');
    shell.says('$ ');
    await client.sees('$ ');
    const resume = await cut(client);
    const lines = Array.from({ length: 1_000 }, (_, index) => `line ${index}\r\n`).join('');
    shell.says(`\u001b[?2004h${lines}\u001b[31mred`);
    await new Promise((resolve) => setTimeout(resolve, 50)); // it is in the ring
    const back = await come(resume);
    const { start, replayBytes, offset } = await back.message('hello');
    expect({ start, offset }).toEqual({ start: 'screen', offset: 2 + 8 + lines.length + 8 });
    shell.says(' tail');
    await back.sees(' tail');
    const replay = back.output().subarray(0, replayBytes).toString();
    expect(back.output().subarray(replayBytes).toString()).toBe(' tail');
    expect(replay.startsWith('\u001bc')).toBe(true);
    expect(replay).toContain('line 999');
    expect(replay).toContain('\u001b[?2004h');
    expect(replay).not.toContain('line 5\r');
  });

  it('sends what was not confirmed again, and the shell gets it once', async () => {
    const { shell, client } = await attached('input');
    client.type('abc');
    await vi.waitFor(() => expect(Buffer.concat(shell.typed).toString()).toBe('abc'));
    expect(await client.message('received')).toEqual({ type: 'received', bytes: 3 });
    client.type('de');
    await vi.waitFor(() => expect(Buffer.concat(shell.typed).toString()).toBe('abcde'));
    const back = await come(await cut(client));
    expect(await back.message('hello')).toMatchObject({ received: 5 });
  });

  it('does not answer for its terminal what was asked while it was away', async () => {
    const { shell, client } = await attached('answers');
    shell.says('$ ');
    await client.sees('$ ');
    const resume = await cut(client);
    shell.says('\u001b[6n\u001b[c');
    await new Promise((resolve) => setTimeout(resolve, 50)); // it is in the ring
    const back = await come({ ...resume, acks: false });
    await back.sees('\u001b[c');
    back.type('\u001b[1;1R\u001b[?1;2ctyped');
    await vi.waitFor(() => expect(Buffer.concat(shell.typed).toString()).toBe('typed'));
    back.tell({ type: 'ack', bytes: 7 });
    back.type('\u001b[1;1R');
    await vi.waitFor(() => expect(Buffer.concat(shell.typed).toString()).toBe('typed\u001b[1;1R'));
  });

  it('with a ticket that was used, or of nobody, is told to ask for a token', async () => {
    const { client } = await attached('tickets');
    const resume = await cut(client);
    const back = await come(resume);
    await back.message('hello');
    back.tell({ type: 'resize', cols: 81, rows: 24 }); // it has got the next one
    for (const ticket of [resume.ticket, 'nobody/x/y', 'garbage', `${resume.ticket}/more`]) {
      const again = await come({ ticket, offset: 0 });
      expect(await again.message('error')).toMatchObject({ code: 'ticket-refused' });
      expect(await again.closed).toMatchObject({ code: 4401 });
    }
  });

  it('whose answer was lost comes back with the same ticket', async () => {
    const { shell, client } = await attached('lost-answer');
    const resume = await cut(client);
    const unheard = await come({ ...resume, acks: false });
    await unheard.message('hello');
    unheard.socket.terminate();
    const back = await come(resume);
    await back.message('hello');
    back.type('x');
    await vi.waitFor(() => expect(Buffer.concat(shell.typed).toString()).toBe('x'));
  });

  it('when the shell has just ended gets its last words, and the exit code', async () => {
    const { shell, client } = await attached('last-words');
    const resume = await cut(client);
    shell.says('RESULT');
    shell.ends({ exitCode: 137 }); // it is looked at for a while
    await new Promise((resolve) => setTimeout(resolve, 50));
    const back = await come(resume);
    expect(await back.message('exit')).toMatchObject({ code: 137 });
    expect(back.text()).toBe('RESULT');
  });

  it.each([
    ['its ticket', 'by-ticket'],
    ['a token, having seen its output', 'by-token'],
  ])(
    'with %s after the shell has exited gets its last words and the exit code, and no new shell',
    async (_, session) => {
      const { user, shell, client } = await attached(session);
      shell.says('one ');
      await client.sees('one ');
      const resume = await cut(client);
      await vi.waitFor(async () => expect((await world.store.read(user)).leases).toEqual([]));
      shell.says('two');
      shell.ends({ exitCode: 7 });
      await vi.waitFor(() => expect(shell.stream.readableEnded).toBe(true));
      const before = exec.terminals.length;
      const token = await world.token(user, { session });
      const back = await come(session === 'by-ticket' ? resume : { token, offset: resume.offset });
      expect(await back.message('exit')).toMatchObject({ code: 7, reason: 'exited' });
      expect(await back.closed).toMatchObject({ code: 1000 });
      if (session === 'by-ticket') expect(back.text()).toBe('two');
      else expect(back.text()).toContain('one two');
      await vi.waitFor(async () => expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] }));
      expect(exec.terminals).toHaveLength(before);
      const next = await come({ token: await world.token(user, { session }) });
      expect(await next.message('hello')).toMatchObject({ start: 'new' });
    },
  );

  it('without having seen a shell that has exited meanwhile gets a new one', async () => {
    const { user, shell, client } = await attached('fresh');
    await cut(client);
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toEqual([]));
    shell.ends({ exitCode: 0 });
    await vi.waitFor(() => expect(shell.stream.readableEnded).toBe(true));
    expect(gateway.sessions).toBe(1);
    const next = await come({ token: await world.token(user, { session: 'fresh' }) });
    expect(await next.message('hello')).toMatchObject({ start: 'new' });
    expect(latest()).not.toBe(shell);
  });

  it('while its old socket seems to live takes its place', async () => {
    const { client, shell } = await attached('half-open');
    shell.says('x');
    await client.sees('x');
    const { ticket } = await client.message('hello');
    const back = await come({ ticket: ticket ?? '', offset: 1 });
    await back.message('hello');
    expect(await client.closed).toMatchObject({ code: 4414 });
    shell.says('y');
    await back.sees('y');
    expect(back.text()).toBe('y');
  });

  it('to a session that is no more gets a new one, and is told', async () => {
    const { user } = await attached('lost');
    latest().ends({ exitCode: 0 });
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
    const back = await come({ token: await world.token(user, { session: 'lost' }), offset: 100 });
    expect(await back.message('hello')).toMatchObject({ start: 'new', offset: 0 });
    expect(await back.message('notice')).toMatchObject({ code: 'session-lost' });
  });
});

describe('a session whose first shell is waited for', () => {
  it('keeps its place in the line for a client whose connection breaks, and comes back with a token', async () => {
    const user = world.newUser();
    const of = { session: 'inLine' };
    const client = await come({ token: await world.token(user, of) });
    await client.message('status');
    const [lease] = (await world.store.read(user)).leases;
    client.socket.terminate();
    await client.closed;
    const back = await come({ token: await world.token(user, of) });
    await back.message('status');
    expect(gateway.sessions).toBe(1);
    expect((await world.store.read(user)).leases).toMatchObject([{ id: lease?.id, takenAt: lease?.takenAt }]);
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    expect(await back.message('hello')).toMatchObject({ start: 'new', session: 'inLine' });
  });

  it('gives it up where nobody comes back in time, and at once where its client is done', async () => {
    const brisk = await world.gateway({ limits: { placeGraceMs: 100 } });
    const user = world.newUser();
    for (const end of ['terminate', 'close'] as const) {
      const client = await open({ port: (end === 'close' ? gateway : brisk).port, token: await world.token(user) });
      await client.message('status');
      if (end === 'close') client.socket.close(1000);
      else client.socket.terminate();
      await vi.waitFor(async () => expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] }));
    }
  });
});

describe('a session without a socket', () => {
  it('does not hold the box, says so in its record, and holds it again', async () => {
    const { user, client } = await attached('hold');
    const resume = await cut(client);
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toHaveLength(0));
    await vi.waitFor(async () => {
      expect((await world.store.read(user)).sessions).toMatchObject([{ id: 'hold', detachedAt: expect.any(Number) }]);
    });
    expect((await world.store.read(user)).sessions[0]?.detachedAt).toBeGreaterThan(0);
    const back = await come(resume);
    await back.message('hello');
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toHaveLength(1));
    await vi.waitFor(async () => expect((await world.store.read(user)).sessions[0]?.detachedAt).toBe(0));
  });

  it('keeps its shell where who comes back is refused a lease, and lets in who is not', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const pin = { kind: 'pin', holder: 'an operator', user, ttlMs: 60_000, class: null } as const;
    const pins = Array.from({ length: 64 }, (_, at) => LeaseId.parse(`pin:${at}`));
    const isRefused = async (resume: { ticket: string; offset: number }): Promise<string> => {
      await vi.waitFor(async () => expect((await world.store.read(user)).leases).toEqual([]));
      for (const id of pins) await world.store.take({ ...pin, id });
      const back = await open({ port: gateway.port, ...resume });
      const { ticket } = await back.message('hello');
      expect(await back.message('error')).toMatchObject({
        code: 'too-many-sessions',
        message: /has 64 leases already/,
      });
      expect(await back.closed).toMatchObject({ code: 4429 });
      for (const id of pins) await world.store.release(user, id, 'an operator');
      return ticket ?? '';
    };
    const client = await open({ port: gateway.port, token: await world.token(user, { session: 'refused' }) });
    const ticket = await isRefused(await cut(client));
    const shell = latest();
    const again = await open({ port: gateway.port, ticket, offset: 0 });
    await again.message('hello');
    shell.says('the same');
    await again.sees('the same');
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toHaveLength(1));
    expect(shell.hangUps).toBe(0);
    again.socket.close(1000);
  });

  it('is ended after the grace, and its shell hung up', async () => {
    const brisk = await world.gateway({ limits: { graceMs: 50 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: brisk.port, token: await world.token(user) });
    await client.message('hello');
    const shell = latest();
    client.socket.terminate();
    await vi.waitFor(() => expect(brisk.sessions).toBe(0));
    expect(shell.hangUps).toBe(1);
    expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] });
  });

  it('is not ended by the grace of before, once somebody is back: its shell was gone on with meanwhile', async () => {
    const graceMs = 3_000; // somebody is back before, also on a busy machine
    const brisk = await world.gateway({ persist: 'tmux', limits: { graceMs } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: brisk.port, token: await world.token(user, { session: 'stale' }) });
    const resume = await cut(client);
    const killed = latest();
    exec.resumable.add('stale');
    killed.isOutlived = true;
    killed.ends({ exitCode: 129 });
    await vi.waitFor(() => expect(latest()).not.toBe(killed));
    const back = await open({ port: brisk.port, ...resume });
    await back.message('hello');
    await new Promise((resolve) => setTimeout(resolve, graceMs + 50));
    expect(back.socket.readyState).toBe(back.socket.OPEN);
    expect(latest().hangUps).toBe(0);
    back.socket.close(1000);
    await vi.waitFor(() => expect(brisk.sessions).toBe(0));
  });

  it('whose shell exits is ended with the grace, or at once where nobody has a ticket', async () => {
    const brisk = await world.gateway({ limits: { graceMs: 3_000 } });
    for (const raw of [true, false]) {
      const user = world.newUser();
      await world.commit(user, { phase: 'ready', containerId: 'c1' });
      const before = exec.terminals.length;
      const client = await open({ port: brisk.port, raw, token: await world.token(user) });
      await vi.waitFor(() => expect(exec.terminals.length).toBe(before + 1));
      latest().says('x');
      await client.sees('x');
      client.socket.terminate();
      await vi.waitFor(async () => expect((await world.store.read(user)).leases).toEqual([]));
      latest().ends({ exitCode: 0 });
      await vi.waitFor(() => expect(latest().stream.readableEnded).toBe(true));
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect({ raw, sessions: brisk.sessions }).toEqual({ raw, sessions: raw ? 0 : 1 });
      await vi.waitFor(() => expect(brisk.sessions).toBe(0));
      expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] });
    }
  });

  it('is ended at once where its client said that it is done', async () => {
    const { user, shell, client } = await attached('done');
    client.socket.close(1000);
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
    expect(shell.hangUps).toBe(1);
    expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] });
  });

  it('makes room for a new one where the user has too many', async () => {
    const tight = await world.gateway({ limits: { sessionsPerUser: 1, graceMs: 60_000 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const first = await open({ port: tight.port, token: await world.token(user) });
    await first.message('hello');
    const shell = latest();
    first.socket.terminate();
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toHaveLength(0));
    const second = await open({ port: tight.port, token: await world.token(user) });
    await second.message('hello');
    await vi.waitFor(() => expect(shell.hangUps).toBe(1));
    second.socket.close(1000);
    await vi.waitFor(() => expect(tight.sessions).toBe(0));
  });
});

describe('several at one session', () => {
  it.each<[string, Partial<ConnectOptions>]>([
    ['as a subprotocol', {}],
    ['in hello', { tokenBy: 'hello' }],
  ])('that come first at the same moment, with a token %s, share one shell', async (by, how) => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const before = exec.terminals.length;
    const session = `twins-${by.replaceAll(' ', '-')}`;
    const tokens = await Promise.all([1, 2, 3].map(() => world.token(user, { session })));
    const all = await Promise.all(tokens.map((token) => come({ token, ...how })));
    await Promise.all(all.map((client) => client.message('hello')));
    expect(exec.terminals.length).toBe(before + 1);
    latest().says('hi');
    await Promise.all(all.map((client) => client.sees('hi')));
    expect(await all[0]?.message('viewers')).toMatchObject({
      viewers: [{ mode: 'rw' }, { mode: 'rw' }, { mode: 'rw' }],
    });
  });

  it('that come first at the same moment as raw sockets share one shell', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const before = exec.terminals.length;
    const tokens = await Promise.all([1, 2, 3].map(() => world.token(user, { session: 'raw-twins' })));
    const all = await Promise.all(tokens.map((token) => come({ token, raw: true })));
    await vi.waitFor(() => expect(exec.terminals.length).toBeGreaterThan(before));
    latest().says('hi');
    await Promise.all(all.map((client) => client.sees('hi')));
    expect(exec.terminals.length).toBe(before + 1);
  });

  it('see the screen as it is when they join, and a read-only one types nothing', async () => {
    const { user, shell, client } = await attached('join');
    shell.says('before');
    await client.sees('before');
    const looker = await come({ token: await world.token(user, { session: 'join', mode: 'ro' }) });
    expect(await looker.message('hello')).toMatchObject({ start: 'screen', mode: 'ro' });
    await looker.sees('before');
    looker.type('no');
    expect(await looker.message('notice')).toMatchObject({ code: 'read-only' });
    client.type('yes');
    await vi.waitFor(() => expect(Buffer.concat(shell.typed).toString()).toBe('yes'));
    looker.tell({ type: 'end' });
    client.tell({ type: 'end' });
    expect(await looker.message('exit')).toMatchObject({ reason: 'ended' });
  });

  it('have the size of who typed last, and are told', async () => {
    const { user, shell, client } = await attached('size');
    const small = { cols: 40, rows: 10 };
    const phone = await come({ token: await world.token(user, { session: 'size' }), size: small });
    await phone.message('hello');
    await vi.waitFor(() => expect(shell.sizes.at(-1)).toEqual(small));
    expect(await client.message('size')).toMatchObject(small);
    client.type('x');
    await vi.waitFor(() => expect(shell.sizes.at(-1)).toEqual({ cols: 80, rows: 24 }));
    phone.tell({ type: 'resize', cols: 41, rows: 10 });
    client.tell({ type: 'resize', cols: 81, rows: 24 });
    await vi.waitFor(() => expect(shell.sizes.at(-1)).toEqual({ cols: 81, rows: 24 }));
    expect(shell.sizes).not.toContainEqual({ cols: 41, rows: 10 });
  });

  it('do not wait for one that takes nothing; it is caught up with a screen', async () => {
    const { user, shell, client } = await attached('stalled');
    const slow = await come({ token: await world.token(user, { session: 'stalled' }), acks: false });
    await slow.message('hello');
    const chunk = 'z'.repeat(64 * 1024);
    for (let sent = 0; sent < 16; sent += 1) {
      shell.says(chunk);
      await vi.waitFor(() => expect(client.output().length).toBe((sent + 1) * chunk.length));
    }
    expect(slow.output().length).toBeLessThan(7 * chunk.length);
    expect(shell.stream.isPaused()).toBe(false);
    slow.tell({ type: 'ack', bytes: slow.output().length });
    expect(await slow.message('screen')).toMatchObject({ offset: 16 * chunk.length });
    shell.says('end');
    await slow.sees('end');
  });
});

describe('a slow viewer', () => {
  it('gets the screen before the exit, where it is too far behind for the bytes', async () => {
    const { user, shell, client } = await attached('slow-exit');
    const slow = await come({ token: await world.token(user, { session: 'slow-exit' }), acks: false });
    await slow.message('hello');
    const chunk = `${'z'.repeat(64 * 1024 - 2)}\r\n`;
    for (let sent = 0; sent < 8; sent += 1) {
      shell.says(chunk);
      await vi.waitFor(() => expect(client.output().length).toBe((sent + 1) * chunk.length));
    }
    shell.says('LAST');
    shell.ends({ exitCode: 0 });
    await slow.message('exit');
    expect(slow.text().endsWith('LAST')).toBe(true);
    expect(slow.messages.map(({ type }) => type).filter((type) => type === 'screen')).toHaveLength(1);
  });

  it('that wakes up when the session has ended harms nobody', async () => {
    const { user, shell, client } = await attached('late');
    const slow = await come({ token: await world.token(user, { session: 'late' }), acks: false });
    await slow.message('hello');
    for (let sent = 0; sent < 8; sent += 1) {
      shell.says('z'.repeat(64 * 1024));
      await vi.waitFor(() => expect(client.output().length).toBe((sent + 1) * 64 * 1024));
    }
    client.tell({ type: 'end' });
    slow.tell({ type: 'ack', bytes: slow.output().length });
    await slow.closed;
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
  });
});

describe('who comes back too often', () => {
  it('is told how long to wait, as who comes with a token is; its ticket stays good', async () => {
    const connectRates = { ...defaultConnectRates, user: { burst: 2, perSecond: 1 } };
    const strict = await world.gateway({ limits: { graceMs: 60_000, connectRates } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    let client = await open({ port: strict.port, token: await world.token(user, { session: 'often' }) });
    await client.message('hello');
    client = await open({ port: strict.port, ...(await cut(client)) });
    await client.message('hello');
    const resume = await cut(client);
    await open({ port: strict.port, ticket: `${user}/often/made-up`, offset: 0 }); // counts for nobody
    const early = await open({ port: strict.port, ...resume });
    expect(await early.closed).toMatchObject({ code: 4430, reason: expect.stringContaining(`connects of ${user}`) });
    await vi.waitFor(
      async () => {
        const late = await open({ port: strict.port, ...resume });
        await late.message('hello');
        late.socket.close(1000);
      },
      { interval: 500 },
    );
    await vi.waitFor(() => expect(strict.sessions).toBe(0));
  });
});

describe('a read-only viewer', () => {
  it('that breaks the protocol does not end a session whose owner may come back', async () => {
    const { user, shell, client } = await attached('vandal');
    const resume = await cut(client);
    const looker = await come({ token: await world.token(user, { session: 'vandal', mode: 'ro' }) });
    await looker.message('hello');
    looker.tell('garbage');
    expect(await looker.closed).toMatchObject({ code: 4400 });
    const back = await come(resume);
    await back.message('hello');
    expect(shell.hangUps).toBe(0);
  });
});

describe('another gateway', () => {
  it('says where a session is that it does not have', async () => {
    const other = await world.gateway();
    const { user, client } = await attached('owned');
    const wrong = await open({ port: other.port, token: await world.token(user, { session: 'owned' }) });
    expect(await wrong.message('error')).toMatchObject({
      code: 'elsewhere',
      address: expect.stringContaining(String(gateway.port)),
    });
    expect(await wrong.closed).toMatchObject({ code: 4409 });
    const { ticket } = await client.message('hello');
    const back = await open({ port: other.port, ticket: ticket ?? '', offset: 0 });
    expect(await back.message('error')).toMatchObject({ code: 'elsewhere' });
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toHaveLength(1));
  });

  it('tells a made-up ticket nothing of a session that it could prove itself for', async () => {
    const first = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const second = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: first.port, token: await world.token(user, { session: 'secret' }) });
    await client.message('hello');
    const thief = await open({ port: second.port, ticket: `${user}/secret/made-up`, offset: 0 });
    const { code, address } = await thief.message('error');
    expect({ code, address }).toEqual({ code: 'ticket-refused', address: undefined });
    client.socket.close(1000);
    await vi.waitFor(() => expect(first.sessions).toBe(0));
  });

  it('goes on with a shell that outlives its gateway, and that one lets go', async () => {
    const first = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const second = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: first.port, token: await world.token(user, { session: 'kept' }) });
    const { ticket } = await client.message('hello');
    const shell = latest();
    exec.resumable.add('kept');
    await vi.waitFor(async () => expect((await world.store.read(user)).sessions[0]?.tickets).toHaveLength(1));
    const back = await open({ port: second.port, ticket: ticket ?? '', offset: 5 });
    expect(await back.message('hello')).toMatchObject({ start: 'screen', received: null, mode: 'rw' });
    // tmux ends the client that another one replaces.
    shell.ends({ exitCode: 0 });
    expect(await client.closed).toMatchObject({ code: 4409 });
    expect(shell.hangUps).toBe(0);
    await vi.waitFor(() => expect(first.sessions).toBe(0));
    expect((await world.store.read(user)).sessions).toMatchObject([{ id: 'kept', gateway: second.id }]);
    back.socket.close(1000);
    await vi.waitFor(() => expect(second.sessions).toBe(0));
    expect(latest().hangUps).toBe(1);
  });

  it('knows nothing of the offsets of the one before, whoever brings them: the whole screen comes', async () => {
    const first = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const second = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const user = world.newUser();
    const session = 'two-rings';
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const tickets: string[] = [];
    for (const mode of ['rw', 'ro'] as const) {
      const client = await open({ port: first.port, token: await world.token(user, { session, mode }) });
      tickets.push((await client.message('hello')).ticket ?? '');
    }
    exec.resumable.add(session);
    await vi.waitFor(async () => expect((await world.store.read(user)).sessions[0]?.tickets).toHaveLength(2));
    const [typist = '', looker = ''] = tickets;
    const hasty = await open({ port: second.port, ticket: typist, offset: 0, acks: false });
    expect(await hasty.message('hello')).toMatchObject({ start: 'screen' });
    hasty.socket.terminate();
    await hasty.closed;
    // Its answer may have been lost, so the ticket of the first one is still good; the offset is not.
    const back = await open({ port: second.port, ticket: typist, offset: 0 });
    expect(await back.message('hello')).toMatchObject({ start: 'screen' });
    latest().says('what the second one saw');
    await back.sees('what the second one saw');
    const other = await open({ port: second.port, ticket: looker, offset: 3 });
    const { start, mode, ticket, offset } = await other.message('hello');
    expect([start, mode]).toEqual(['screen', 'ro']);
    other.socket.terminate();
    await other.closed;
    const again = await open({ port: second.port, ticket: ticket ?? '', offset });
    expect(await again.message('hello')).toMatchObject({ start: 'exact', offset });
  });

  it('goes on with its own where only the connection is killed: what was typed meanwhile arrives, nobody is greeted again', async () => {
    const gateway = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: gateway.port, token: await world.token(user, { session: 'cut' }) });
    await client.message('hello');
    const killed = latest();
    killed.isOutlived = true;
    exec.resumable.add('cut');
    killed.ends({ exitCode: 129 });
    client.type('typed meanwhile');
    await vi.waitFor(() => expect(latest()).not.toBe(killed));
    await vi.waitFor(() =>
      expect(Buffer.concat([...killed.typed, ...latest().typed]).toString()).toBe('typed meanwhile'),
    );
    expect(latest().start).toMatchObject({ session: 'cut', containerId: 'c1' });
    latest().says('the same screen');
    await client.sees('\x1bcthe same screen');
    expect(client.messages.filter(({ type }) => type === 'hello')).toHaveLength(1);
    latest().ends({ exitCode: 3 });
    expect(await client.message('exit')).toMatchObject({ code: 3, reason: 'exited' });
    expect(killed.hangUps).toBe(0);
  });

  it('hands on what was typed while the connection was dead before what those type who came meanwhile', async () => {
    const resumed = Promise.withResolvers<void>();
    const slow = {
      ...exec,
      resume: (...of: Parameters<typeof exec.resume>) => resumed.promise.then(() => exec.resume(...of)),
    };
    const gateway = await world.gateway({ exec: slow, persist: 'tmux', limits: { graceMs: 60_000 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: gateway.port, token: await world.token(user, { session: 'order' }) });
    await client.message('hello');
    const left = await cut(await open({ port: gateway.port, token: await world.token(user, { session: 'order' }) }));
    const killed = latest();
    killed.isOutlived = true;
    exec.resumable.add('order');
    killed.ends({ exitCode: 129 });
    await vi.waitFor(() => expect(killed.stream.readableEnded).toBe(true));
    client.type('first ');
    client.tell({ type: 'ping' });
    await client.message('received');
    const other = await open({ port: gateway.port, ...left });
    other.type('second');
    other.tell({ type: 'ping' });
    await other.message('pong');
    resumed.resolve();
    await other.message('hello');
    await vi.waitFor(() => expect(Buffer.concat(latest().typed).toString()).toBe('first second'));
    client.tell({ type: 'end' });
    await other.closed;
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
  });

  it('holds back again from who is full, where the connection was killed while nobody took anything', async () => {
    const gateway = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000, pausedCheckMs: 20 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const of = { port: gateway.port, acks: false };
    const brisk = await open({ ...of, token: await world.token(user, { session: 'paused' }) });
    const slow = await open({ ...of, token: await world.token(user, { session: 'paused' }) });
    await Promise.all([brisk.message('hello'), slow.message('hello')]);
    const killed = latest();
    const chunk = 'z'.repeat(64 * 1024);
    for (let sent = 0; sent < 6; sent += 1) killed.says(chunk);
    await vi.waitFor(() => expect(killed.stream.isPaused()).toBe(true));
    killed.isOutlived = true;
    exec.resumable.add('paused');
    killed.ends({ exitCode: 129 });
    await vi.waitFor(() => expect(latest()).not.toBe(killed));
    await brisk.sees('\u001bc');
    await slow.sees('\u001bc');
    const before = slow.output().length;
    brisk.tell({ type: 'ack', bytes: brisk.output().length });
    for (let sent = 0; sent < 3; sent += 1) latest().says(chunk);
    latest().says('END');
    await brisk.sees('END');
    slow.tell({ type: 'ping' });
    await slow.message('pong');
    expect(slow.output().length).toBe(before);
    brisk.tell({ type: 'end' });
    await slow.closed;
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
  });

  it('gives one up whose connection is killed again and again, and ends it', async () => {
    const gateway = await world.gateway({
      persist: 'tmux',
      limits: { graceMs: 60_000, restartMinMs: 1, restartMaxMs: 1 },
    });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    exec.resumable.add('killer');
    const before = exec.terminals.length;
    const client = await open({ port: gateway.port, token: await world.token(user, { session: 'killer' }) });
    for (let shells = 1; shells <= 6; shells += 1) {
      await vi.waitFor(() => expect(exec.terminals.length).toBe(before + shells));
      latest().isOutlived = true;
      latest().ends({ exitCode: 129 });
    }
    expect(await client.message('exit')).toMatchObject({ code: 129 });
    expect(exec.terminals.length).toBe(before + 6);
    expect(latest().hangUps).toBe(1);
  });

  it.each([
    ['leaves the shell to the next', 0, 50],
    ['keeps its place for a while, and then goes on', 1, 60_000],
  ])('that is left half-way %s', async (_words, left, placeGraceMs) => {
    const first = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const user = world.newUser();
    const session = `half-way-${left}`;
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: first.port, token: await world.token(user, { session }) });
    const other = await open({ port: first.port, token: await world.token(user, { session, mode: 'ro' }) });
    const { ticket } = await client.message('hello');
    const { ticket: lookers } = await other.message('hello');
    exec.resumable.add(session);
    await vi.waitFor(async () => expect((await world.store.read(user)).sessions[0]?.tickets).toHaveLength(2));
    const shell = latest();
    await first.drain(2_000);
    await world.commit(user, { phase: 'provisioning', containerId: 'c1' }); // so that nothing is resumed yet
    const second = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000, placeGraceMs } });
    const hasty = await open({ port: second.port, ticket: ticket ?? '', offset: 0 });
    await hasty.message('status');
    hasty.socket.terminate();
    await hasty.closed;
    await vi.waitFor(() => expect(second.sessions).toBe(left));
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const back = await open({ port: second.port, ticket: ticket ?? '', offset: 0 });
    expect(await back.message('hello')).toMatchObject({ start: 'screen', mode: 'rw' });
    const looker = await open({ port: second.port, ticket: lookers ?? '', offset: 0 });
    expect(await looker.message('hello')).toMatchObject({ mode: 'ro' });
    expect(shell.hangUps).toBe(0);
    looker.socket.close(1000);
    await looker.closed;
    back.socket.close(1000);
    await vi.waitFor(() => expect(second.sessions).toBe(0));
  });

  it('gives a ticket to look at a living one nothing', async () => {
    const first = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const second = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: first.port, token: await world.token(user, { session: 'looked' }) });
    await client.message('hello');
    const looker = await open({ port: first.port, token: await world.token(user, { session: 'looked', mode: 'ro' }) });
    const { ticket } = await looker.message('hello');
    await vi.waitFor(async () => expect((await world.store.read(user)).sessions[0]?.tickets).toHaveLength(2));
    const thief = await open({ port: second.port, ticket: ticket ?? '', offset: 0 });
    expect(await thief.message('error')).toMatchObject({ code: 'elsewhere' });
    looker.socket.close(1000);
    await looker.closed;
    client.socket.close(1000);
    await vi.waitFor(() => expect(first.sessions).toBe(0));
  });

  it('finds what a drained one has left', async () => {
    const first = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: first.port, token: await world.token(user, { session: 'drained' }) });
    const { ticket } = await client.message('hello');
    const shell = latest();
    exec.resumable.add('drained');
    await first.drain(2_000);
    expect(await client.closed).toMatchObject({ code: 1012 });
    expect(client.messages.some(({ type }) => type === 'exit')).toBe(false);
    expect(shell.hangUps).toBe(0);
    const second = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
    const back = await open({ port: second.port, ticket: ticket ?? '', offset: 0 });
    await back.message('hello');
    back.socket.close(1000);
    await vi.waitFor(() => expect(second.sessions).toBe(0));
  });
});
