import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { TerminalClient } from '../../gateway/src/client.ts';
import { protocolDialect } from '../../gateway/src/dialect.ts';
import { Ending } from '../../gateway/src/ending.ts';
import type { ReadEnvironment } from '../../gateway/src/environment.ts';
import { StartQueue } from '../../gateway/src/exec/start-queue.ts';
import { Grace } from '../../gateway/src/grace.ts';
import { ReapNews } from '../../gateway/src/last-reap.ts';
import { defaultLimits, type GatewayLimits } from '../../gateway/src/limits.ts';
import { GatewayMeter } from '../../gateway/src/metrics/gateway-meter.ts';
import { RingBudget } from '../../gateway/src/ring-budget.ts';
import { SessionRecord } from '../../gateway/src/session-record.ts';
import { Sessions } from '../../gateway/src/sessions.ts';
import type { BoxStore } from '#shared/box-store.ts';
import type { Persist } from '#shared/lease.ts';
import { systemClock } from '#shared/clock.ts';
import { createLogger } from '#shared/log.ts';
import { terminalClientLimits } from '#shared/terminal-client.ts';
import { ServerMessage } from '#shared/terminal-protocol.ts';
import type { TerminalClaims } from '#shared/terminal-claims.ts';
import { noSpan } from '#shared/tracing.ts';
import { sessionOf } from '../contract/box-store-world.ts';
import { SimSocket } from '../sim/sim-socket.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { fakePort } from '../support/fake-port.ts';
import { createFakeExec } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';

/** A gateway's sessions without its server: so it is certain what happens in one turn of the event loop. */

const log = createLogger({ name: 'test', level: 'silent' });
const exec = createFakeExec();
let world: GatewayWorld;
const all: Sessions[] = [];

beforeAll(async () => {
  world = await createGatewayWorld(exec);
});
afterEach(async () => {
  for (const sessions of all.splice(0)) {
    sessions.close(new Ending('restarting'));
    await sessions.empty();
  }
});
afterAll(async () => await world?.close());

function sessionsOf(
  of: { store?: BoxStore; limits?: Partial<GatewayLimits>; environment?: ReadEnvironment; persist?: Persist } = {},
): Sessions {
  const limits = { ...defaultLimits, ...of.limits };
  const sessions = new Sessions({
    store: of.store ?? world.store,
    feed: { watch: () => () => {}, close: async () => {} },
    clock: systemClock,
    limits,
    log,
    exec,
    commands: null,
    starts: new StartQueue(limits.startsAtOnce),
    screens: new StartQueue(limits.screensAtOnce),
    rings: new RingBudget(limits.ringsBytes),
    gateway: 'g1',
    terminalOf: () => ({ persist: of.persist ?? 'none', record: 'off', attachedIdleMs: 28_800_000 }),
    environment: of.environment ?? (() => Promise.resolve({ variables: {}, unreadable: [] })),
    recordings: null,
    news: new ReapNews(),
    meter: new GatewayMeter(),
  });
  all.push(sessions);
  return sessions;
}

function clientOf(size = { cols: 80, rows: 24 }): {
  socket: SimSocket;
  client: TerminalClient;
  messages: () => ServerMessage[];
  /** of its terminal, as text */
  output: () => string;
  /** all that came, in its order */
  heard: readonly (Buffer | string)[];
} {
  const socket = new SimSocket();
  const heard: (Buffer | string)[] = [];
  const send = socket.send.bind(socket);
  socket.send = (data, options, sent) => {
    heard.push(data);
    send(data, options, sent);
  };
  const deps = { clock: systemClock, limits: defaultLimits };
  const client = new TerminalClient(socket.asWebSocket(), null, protocolDialect, size, deps);
  return {
    socket,
    client,
    messages: () => socket.messages.map((text) => ServerMessage.parse(JSON.parse(text))),
    output: () => String(Buffer.concat(heard.filter((data) => typeof data !== 'string'))),
    heard,
  };
}

async function claimsOf(session: string): Promise<TerminalClaims> {
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  return { user, session, mode: 'rw', jti: session, iat: 0, exp: 0 };
}

describe('two first clients of one session', () => {
  it('that enter in one turn are in one session, with one shell', async () => {
    const sessions = sessionsOf();
    const claims = await claimsOf('twins');
    const before = exec.terminals.length;
    const clients = [clientOf(), clientOf(), clientOf()];
    await Promise.all(clients.map(({ client }) => sessions.enter(claims, client, false)));
    expect({ open: sessions.count, made: sessions.opened }).toEqual({ open: 1, made: 1 });
    for (const { messages } of clients) {
      await vi.waitFor(() => expect(messages()).toContainEqual(expect.objectContaining({ type: 'hello' })));
    }
    expect(exec.terminals.length).toBe(before + 1);
  });
});

describe('a client that is on its way', () => {
  const size = { cols: 100, rows: 50 };
  const stored = async ({ user }: TerminalClaims): Promise<object> => {
    const { leases, sessions } = await world.store.read(user);
    return { leases: leases.length, sessions: sessions.map(({ id }) => id) };
  };

  it('has its lease and its record before it comes; its shell waits for it, and has its size', async () => {
    const sessions = sessionsOf();
    const claims = { ...(await claimsOf('coming')), mode: 'ro' as const };
    const before = exec.terminals.length;
    const hasCome = sessions.expect(claims, null, noSpan);
    await vi.waitFor(async () => expect(await stored(claims)).toEqual({ leases: 1, sessions: ['coming'] }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(exec.terminals.length).toBe(before);
    const { client, messages } = clientOf(size);
    await sessions.enter(claims, client, false);
    hasCome();
    await vi.waitFor(() => expect(messages()).toContainEqual(expect.objectContaining({ type: 'hello', ...size })));
    expect(exec.terminals.slice(before)).toMatchObject([{ start: { size } }]);
    expect(sessions.opened).toBe(1);
  });

  describe('and has said its size', () => {
    const startAhead = async (session: string, of: Parameters<typeof sessionsOf>[0] = {}) => {
      const sessions = sessionsOf(of);
      const claims = await claimsOf(session);
      const before = exec.terminals.length;
      const hasCome = sessions.expect(claims, size, noSpan);
      await vi.waitFor(() => expect(exec.terminals.length).toBe(before + 1));
      const shell = exec.terminals.at(-1);
      if (!shell) throw new Error('there is no shell');
      await vi.waitFor(() => expect(shell.stream.readableFlowing).toBe(true));
      return { sessions, claims, hasCome, shell };
    };
    const coming = async (
      { sessions, claims, hasCome }: Awaited<ReturnType<typeof startAhead>>,
      of = clientOf(size),
    ) => {
      await sessions.enter(claims, of.client, false).finally(hasCome);
      return of;
    };

    it('finds its shell running, and gets all that it has said, as new', async () => {
      const begun = await startAhead('ahead');
      begun.shell.says('a question\u001b[c');
      await new Promise((resolve) => setImmediate(resolve));
      const { socket, messages, output } = await coming(begun);
      const hello = { type: 'hello', start: 'new', offset: 0, replayBytes: 0, ...size };
      await vi.waitFor(() => expect(messages()).toContainEqual(expect.objectContaining(hello)));
      await vi.waitFor(() => expect(output()).toBe('a question\u001b[c'));
      // Nobody has answered it yet.
      socket.type('\u001b[?62;c');
      await vi.waitFor(() => expect(String(Buffer.concat(begun.shell.typed))).toBe('\u001b[?62;c'));
      expect({ made: begun.sessions.opened, sizes: begun.shell.sizes }).toEqual({ made: 1, sizes: [] });
    });

    it.each(['rw', 'ro'] as const)('and comes (%s) with another one, has that', async (mode) => {
      const begun = await startAhead(`resized-${mode}`);
      const { messages } = await coming(
        { ...begun, claims: { ...begun.claims, mode } },
        clientOf({ cols: 90, rows: 40 }),
      );
      const hello = expect.objectContaining({ type: 'hello', cols: 90, rows: 40 });
      await vi.waitFor(() => expect(messages()).toContainEqual(hello));
      await vi.waitFor(() => expect(begun.shell.sizes).toEqual([{ cols: 90, rows: 40 }]));
    });

    it('gets the last words of a shell that has ended meanwhile', async () => {
      const begun = await startAhead('brief');
      begun.shell.says('bye');
      begun.shell.ends({ exitCode: 7 });
      await vi.waitFor(() => expect(begun.shell.stream.readableEnded).toBe(true));
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { messages, output } = await coming(begun);
      await vi.waitFor(() => expect(messages()).toContainEqual(expect.objectContaining({ type: 'exit', code: 7 })));
      expect(output()).toBe('bye');
      expect(begun.sessions.opened).toBe(1);
    });

    it('is told that its shell is a new one, where it has seen the one before', async () => {
      const { sessions, claims, hasCome } = await startAhead('seen');
      const { client, messages } = clientOf(size);
      await sessions.enter(claims, client, true).finally(hasCome);
      await vi.waitFor(() => expect(messages()).toContainEqual(expect.objectContaining({ code: 'session-lost' })));
    });

    it('is told what there was to tell before it came', async () => {
      const environment = (): Promise<never> => Promise.reject(new Error('no vault'));
      const { messages } = await coming(await startAhead('told', { environment }));
      const notice = expect.objectContaining({ type: 'notice', code: 'vault-unreadable' });
      await vi.waitFor(() => expect(messages()).toContainEqual(notice));
    });

    it('is told what became of the box before, though another one was to be told who did not come', async () => {
      const lastReap = { at: Date.now() - 60_000, cause: 'idle', message: '' } as const;
      const sessions = sessionsOf();
      const user = world.newUser();
      await world.commit(user, { phase: 'ready', containerId: 'c1', lastReap });
      const of = (session: string): TerminalClaims => ({ user, session, mode: 'rw', jti: session, iat: 0, exp: 0 });
      const before = exec.terminals.length;
      const hasCome = sessions.expect(of('lost'), size, noSpan);
      await vi.waitFor(() => expect(exec.terminals.at(before)?.stream.readableFlowing).toBe(true));
      hasCome();
      await sessions.empty();
      const hasComeNext = sessions.expect(of('next'), size, noSpan);
      await vi.waitFor(() => expect(exec.terminals.at(before + 1)?.stream.readableFlowing).toBe(true));
      exec.terminals.at(before + 1)?.says('$ ');
      const { client, heard, output } = clientOf(size);
      await sessions.enter(of('next'), client, false).finally(hasComeNext);
      await vi.waitFor(() => expect(output()).toBe('$ '));
      const kinds = heard.map((data) => (typeof data === 'string' ? ServerMessage.parse(JSON.parse(data)) : 'output'));
      expect(kinds).toMatchObject([{ type: 'hello' }, { type: 'notice', code: 'last-reap' }, 'output']);
    });

    it('and has not come when the gateway is drained, leaves no shell that outlives that', async () => {
      const { sessions, claims, hasCome, shell } = await startAhead('drained', { persist: 'tmux' });
      sessions.close(new Ending('restarting'));
      hasCome();
      await sessions.empty();
      expect({ hangUps: shell.hangUps, left: await stored(claims) }).toEqual({
        hangUps: 1,
        left: { leases: 0, sessions: [] },
      });
    });

    it('is waited for where its session is to be gone on with', async () => {
      const sessions = sessionsOf();
      const claims = await claimsOf('left');
      const record = { ...sessionOf(claims.user), id: 'left', persist: 'tmux', containerId: 'c1' } as const;
      await world.store.claimSession({ ...record, gateway: 'gone' }, false, '');
      exec.resumable.add('left');
      const before = exec.terminals.length;
      const hasCome = sessions.expect(claims, size, noSpan);
      await vi.waitFor(async () =>
        expect((await world.store.read(claims.user)).sessions).toMatchObject([{ gateway: 'g1' }]),
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(exec.terminals.length).toBe(before);
      const { client, messages } = clientOf(size);
      await sessions.enter(claims, client, true).finally(hasCome);
      const hello = expect.objectContaining({ type: 'hello', start: 'screen' });
      await vi.waitFor(() => expect(messages()).toContainEqual(hello));
    });

    it('and does not come, leaves no shell behind', async () => {
      const { sessions, claims, hasCome, shell } = await startAhead('gone');
      hasCome();
      await sessions.empty();
      expect(shell.hangUps).toBe(1);
      expect(await stored(claims)).toEqual({ leases: 0, sessions: [] });
    });
  });

  it('and does not come, leaves nothing behind', async () => {
    const sessions = sessionsOf();
    const claims = await claimsOf('lost');
    const before = exec.terminals.length;
    const hasCome = sessions.expect(claims, null, noSpan);
    await vi.waitFor(async () => expect(await stored(claims)).toEqual({ leases: 1, sessions: ['lost'] }));
    hasCome();
    await sessions.empty();
    expect(await stored(claims)).toEqual({ leases: 0, sessions: [] });
    expect(exec.terminals.length).toBe(before);
  });

  it('and does not come, ends nothing where another one of the same session does, or is on its way', async () => {
    const sessions = sessionsOf();
    const claims = await claimsOf('two-coming');
    const [lost, coming, other] = [1, 2, 3].map(() => sessions.expect(claims, null, noSpan));
    lost?.();
    lost?.();
    const { client, messages } = clientOf();
    await sessions.enter(claims, client, false);
    coming?.();
    other?.();
    await vi.waitFor(() => expect(messages()).toContainEqual(expect.objectContaining({ type: 'hello' })));
    expect({ open: sessions.count, made: sessions.opened }).toEqual({ open: 1, made: 1 });
  });

  it('takes the place of nobody before it comes', async () => {
    const sessions = sessionsOf({ limits: { sessionsPerUser: 1 } });
    const claims = await claimsOf('kept');
    const kept = clientOf();
    await sessions.enter(claims, kept.client, false);
    await vi.waitFor(() => expect(kept.messages()).toContainEqual(expect.objectContaining({ type: 'hello' })));
    kept.socket.terminate();
    await new Promise((resolve) => setImmediate(resolve));
    const next = { ...claims, session: 'next' };
    sessions.expect(next, null, noSpan)();
    expect({ open: sessions.count, made: sessions.opened }).toEqual({ open: 1, made: 1 });
    await sessions.enter(next, clientOf().client, false);
    await vi.waitFor(async () => expect(await stored(claims)).toEqual({ leases: 1, sessions: ['next'] }));
  });
});

describe('a session that is just being ended', () => {
  it('counts no more: none that somebody may come back to has to go for the next', async () => {
    const sessions = sessionsOf({ limits: { sessionsPerUser: 2 } });
    const claims = await claimsOf('ending');
    const [ending, kept, next] = [clientOf(), clientOf(), clientOf()];
    await sessions.enter(claims, ending.client, false);
    await vi.waitFor(() => expect(exec.terminals.at(-1)?.start.session).toBe('ending'));
    const slow = exec.terminals.at(-1);
    const hungUp = Promise.withResolvers<void>();
    if (slow) slow.hangUp = () => hungUp.promise;
    await sessions.enter({ ...claims, session: 'kept' }, kept.client, false);
    await vi.waitFor(() => expect(exec.terminals.at(-1)?.start.session).toBe('kept'));
    const shell = exec.terminals.at(-1);
    await vi.waitFor(() => expect(kept.messages()).toContainEqual(expect.objectContaining({ type: 'hello' })));
    kept.socket.terminate();
    ending.socket.close(1000);
    await new Promise((resolve) => setImmediate(resolve));
    await sessions.enter({ ...claims, session: 'next' }, next.client, false);
    await vi.waitFor(() => expect(next.messages()).toContainEqual(expect.objectContaining({ type: 'hello' })));
    const open = sessions.count;
    hungUp.resolve();
    expect({ open, hangUps: shell?.hangUps }).toEqual({ open: 3, hangUps: 0 });
  });
});

describe('the record of a session', () => {
  it('that could not be written when nobody was there any more is written again, until it is', async () => {
    const clock = new FakeClock();
    const limits = { renewRetryMs: 2_000 };
    const written: number[] = [];
    let failures = 2;
    const store = fakePort<BoxStore>({
      claimSession: async () => ({ ok: true, before: null }),
      putSession: async ({ detachedAt }) => {
        if (failures-- > 0) throw new Error('Redis is away');
        written.push(detachedAt);
        return true;
      },
      endSession: async () => true,
    });
    const record = new SessionRecord({ store, clock, limits, log }, () => {});
    const session = sessionOf(world.newUser());
    await record.claim(session, false);
    record.put({ ...session, detachedAt: 7 });
    await settled();
    await clock.advance(limits.renewRetryMs);
    expect(written).toEqual([]);
    await clock.advance(limits.renewRetryMs);
    expect(written).toEqual([7]);
    failures = 1;
    record.put({ ...session, detachedAt: 8 });
    await settled();
    await record.end('it has ended');
    expect({ written, timers: clock.pending }).toEqual({ written: [7], timers: 0 });
  });
});

describe('the record of a session that another gateway has left', () => {
  it('keeps that it is recorded, whoever claims it and does not come', async () => {
    const clock = new FakeClock();
    const left = sessionOf(world.newUser(), { gateway: 'g0', persist: 'tmux', record: 'input' });
    const written: unknown[] = [];
    const store = fakePort<BoxStore>({
      claimSession: async () => ({ ok: true, before: left }),
      putSession: async ({ record }) => {
        written.push(record);
        return true;
      },
    });
    const record = new SessionRecord({ store, clock, limits: { renewRetryMs: 2_000 }, log }, () => {});
    await record.claim({ ...left, gateway: 'g1', record: 'off' }, false);
    await record.leave(5);
    expect(written).toEqual(['input']);
  });
});

describe('a client whose input is held', () => {
  it('is not read, and so gets a sign of life without asking, often enough', async () => {
    const clock = new FakeClock();
    const socket = new SimSocket();
    const client = new TerminalClient(
      socket.asWebSocket(),
      null,
      protocolDialect,
      { cols: 80, rows: 24 },
      { clock, limits: defaultLimits },
    );
    await clock.advance(defaultLimits.pingEveryMs);
    expect(socket.messages).toEqual([]);
    client.holdInput();
    await clock.advance(2 * defaultLimits.heldPongEveryMs);
    expect(socket.messages).toEqual(['{"type":"pong"}', '{"type":"pong"}']);
    client.takeInput();
    await clock.advance(defaultLimits.pingEveryMs);
    expect(socket.messages).toHaveLength(2);
    const { silentMs, answerWithinMs } = terminalClientLimits.link;
    expect(defaultLimits.heldPongEveryMs).toBeLessThan(silentMs + answerWithinMs);
  });
});

describe('the grace of a session', () => {
  it('begins with each time that nobody is there, but goes on where who came back had to go', async () => {
    const clock = new FakeClock();
    let isOver = false;
    const grace = new Grace(clock, () => {
      isOver = true;
    });
    expect(grace.goOn()).toBe(false);
    grace.begin(100);
    await clock.advance(90);
    grace.stop();
    expect(grace.emptySinceMs).toBeNull();
    grace.begin(100);
    await clock.advance(90);
    expect(isOver).toBe(false);
    grace.stop();
    expect(grace.goOn()).toBe(true);
    await clock.advance(9);
    expect(isOver).toBe(false);
    await clock.advance(1);
    expect(isOver).toBe(true);
    grace.begin(100);
    grace.close();
    expect(clock.pending).toBe(0);
  });
});
