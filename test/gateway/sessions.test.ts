import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { TerminalClient } from '../../gateway/src/client.ts';
import { protocolDialect } from '../../gateway/src/dialect.ts';
import { Ending } from '../../gateway/src/ending.ts';
import { StartQueue } from '../../gateway/src/exec/start-queue.ts';
import { ReapNews } from '../../gateway/src/last-reap.ts';
import { defaultLimits, type GatewayLimits } from '../../gateway/src/limits.ts';
import { RingBudget } from '../../gateway/src/ring-budget.ts';
import { Sessions } from '../../gateway/src/sessions.ts';
import type { BoxStore } from '#shared/box-store.ts';
import { systemClock } from '#shared/clock.ts';
import { createLogger } from '#shared/log.ts';
import { ServerMessage } from '#shared/terminal-protocol.ts';
import type { TerminalClaims } from '#shared/terminal-token.ts';
import { SimSocket } from '../sim/sim-socket.ts';
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

function sessionsOf(of: { store?: BoxStore; limits?: Partial<GatewayLimits> } = {}): Sessions {
  const limits = { ...defaultLimits, ...of.limits };
  const sessions = new Sessions({
    store: of.store ?? world.store,
    feed: { watch: () => () => {}, close: async () => {} },
    clock: systemClock,
    limits,
    log,
    exec,
    starts: new StartQueue(limits.startsAtOnce),
    screens: new StartQueue(limits.screensAtOnce),
    rings: new RingBudget(limits.ringsBytes),
    gateway: 'g1',
    terminalOf: () => ({ persist: 'none', record: 'off', attachedIdleMs: 28_800_000 }),
    recordings: null,
    news: new ReapNews(),
  });
  all.push(sessions);
  return sessions;
}

function clientOf(): { socket: SimSocket; client: TerminalClient; messages: () => ServerMessage[] } {
  const socket = new SimSocket();
  const deps = { clock: systemClock, limits: defaultLimits };
  const client = new TerminalClient(socket.asWebSocket(), null, protocolDialect, { cols: 80, rows: 24 }, deps);
  return { socket, client, messages: () => socket.messages.map((text) => ServerMessage.parse(JSON.parse(text))) };
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
