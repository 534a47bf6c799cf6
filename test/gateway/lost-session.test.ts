import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fakePort } from '../support/fake-port.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { defaultLimits } from '../../gateway/src/limits.ts';
import { Registration } from '../../gateway/src/registration.ts';
import type { BoxStore } from '#shared/box-store.ts';
import { createLogger } from '#shared/log.ts';
import { sessionOf } from '../contract/box-store-world.ts';
import { createFakeExec, type FakeTerminal } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { open } from './test-client.ts';

const exec = createFakeExec();
let world: GatewayWorld;

beforeAll(async () => {
  world = await createGatewayWorld(exec);
});
afterAll(async () => await world?.close());

function latest(): FakeTerminal {
  const shell = exec.terminals.at(-1);
  if (!shell) throw new Error('no shell was started');
  return shell;
}

/** Every subscription is cut, as by a network: gateways write their records again when it is back. */
async function breakSubscriptions(): Promise<void> {
  const cli = new Redis(world.redis.url);
  await cli.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  cli.disconnect();
}

describe('a session that another gateway has taken over', () => {
  it('without tmux ends with its own shell, and nothing of the other’s; its client is told', async () => {
    const first = await world.gateway({ limits: { graceMs: 60_000, registerEveryMs: 60_000 } });
    const second = await world.gateway({ limits: { graceMs: 60_000 } });
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({ port: first.port, token: await world.token(user, { session: 'parted' }) });
    await client.message('hello');
    const lost = latest();
    // As Redis sees a gateway that cannot reach it.
    await world.store.registerGateway({ id: first.id, address: '', fingerprint: '' }, 0);
    const other = await open({ port: second.port, token: await world.token(user, { session: 'parted' }) });
    await other.message('hello');
    const shell = latest();
    expect(exec.endedLeft).toEqual([{ containerId: 'c1', session: 'parted', shells: exec.terminals.indexOf(shell) }]);
    await breakSubscriptions();
    expect(await client.message('error')).toMatchObject({ code: 'elsewhere' });
    expect(await client.closed).toMatchObject({ code: 4409 });
    await vi.waitFor(() => expect(first.sessions).toBe(0));
    expect(lost).toMatchObject({ hangUps: 1, whose: 'anothers' });
    expect(shell.hangUps).toBe(0);
    expect(await world.store.sessions(user)).toMatchObject([{ id: 'parted', gateway: second.id }]);
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toHaveLength(1));
    other.socket.close(1000);
    await vi.waitFor(() => expect(second.sessions).toBe(0));
    expect(shell).toMatchObject({ hangUps: 1, whose: 'ours' });
  });
});

describe('a session that the sweep is ending', () => {
  it('is begun by nobody, and its client is told to try again', async () => {
    const gateway = await world.gateway();
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const before = exec.terminals.length;
    await world.store.sweepSession(sessionOf(user, { id: 'swept', gateway: '' }));
    const client = await open({ port: gateway.port, token: await world.token(user, { session: 'swept' }) });
    expect(await client.message('error')).toMatchObject({ code: 'try-later', message: /is just being ended/ });
    expect(await client.closed).toMatchObject({ code: 1013 });
    expect(exec.terminals).toHaveLength(before);
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toEqual([]));
  });
});

describe('a gateway', () => {
  it('that was taken for dead for a while writes its records again: so it learns what others took over', async () => {
    const clock = new FakeClock();
    let isDown = false;
    let written = 0;
    const store = fakePort<BoxStore>({
      registerGateway: async () => {
        if (isDown) throw new Error('Redis is away');
        return '';
      },
    });
    const registration = new Registration({
      store,
      clock,
      limits: defaultLimits,
      log: createLogger({ name: 'test', level: 'silent' }),
      gateway: { id: 'g1', address: '', fingerprint: '' },
      sessions: {
        recordAgain() {
          written += 1;
        },
        endLeftRecords: async () => {},
      },
    });
    await registration.start();
    await clock.advance(defaultLimits.registerEveryMs);
    isDown = true;
    await clock.advance(defaultLimits.registrationTtlMs);
    isDown = false;
    expect(written).toBe(0);
    await clock.advance(defaultLimits.registerEveryMs);
    expect(written).toBe(1);
    await clock.advance(defaultLimits.registerEveryMs);
    expect(written).toBe(1);
    await registration.stop();
    expect(clock.pending).toBe(0);
  });
});
