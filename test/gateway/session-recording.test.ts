import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import { LeaseId } from '#shared/identity.ts';
import type { OpenRecorder } from '../../gateway/src/recording/recordings.ts';
import { createFakeExec } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { open, type TestClient } from './test-client.ts';

interface Recorded extends Pick<OpenRecorder, 'session' | 'input' | 'size'> {
  output: string;
  typed: string;
  isClosed: boolean;
}

const exec = createFakeExec();
/** in order */
const made: Recorded[] = [];
let world: GatewayWorld;
let gateway: Gateway;

beforeAll(async () => {
  world = await createGatewayWorld(exec);
  const recordings = {
    open({ session, input, size }: OpenRecorder) {
      const one: Recorded = { session, input, size, output: '', typed: '', isClosed: false };
      made.push(one);
      return {
        output(bytes: Buffer) {
          one.output += bytes.toString();
        },
        input(bytes: Buffer) {
          if (input) one.typed += bytes.toString();
        },
        resize() {},
        async close() {
          one.isClosed = true;
        },
      };
    },
  };
  gateway = await world.gateway({ recordings });
});
afterAll(async () => await world?.close());

function notices(client: TestClient): string[] {
  return client.messages.flatMap((one) => (one.type === 'notice' && one.code === 'recorded' ? [one.message] : []));
}

describe('a session', () => {
  it('is recorded from where somebody joins whose token asks for it, and everybody is told; input only where asked', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const come = async (record?: 'output' | 'input'): Promise<TestClient> => {
      const token = await world.token(user, { session: 'joined', ...(record === undefined ? {} : { record }) });
      const client = await open({ port: gateway.port, token });
      await client.message('hello');
      return client;
    };
    const first = await come();
    const shell = exec.terminals.at(-1);
    shell?.says('before ');
    await first.sees('before ');
    expect(made).toEqual([]);

    const second = await come('output');
    shell?.says('output ');
    await Promise.all([first.sees('output '), second.sees('output ')]);
    first.type('secret');
    await vi.waitFor(() => expect(Buffer.concat(shell?.typed ?? []).toString()).toBe('secret'));
    await vi.waitFor(async () => expect(await world.store.sessions(user)).toMatchObject([{ record: 'output' }]));
    expect(made).toMatchObject([{ session: 'joined', input: false, output: 'output ', typed: '', isClosed: false }]);
    expect(made[0]?.size).toEqual({ cols: 80, rows: 24 });
    const words = 'this terminal is recorded: its output';
    expect([notices(first), notices(second)]).toEqual([[words], [words]]);

    const third = await come('input');
    const fourth = await come('output'); // asks for no more
    shell?.says('more');
    await Promise.all([first, second, third, fourth].map((client) => client.sees('more')));
    first.type('x');
    await vi.waitFor(() => expect(Buffer.concat(shell?.typed ?? []).toString()).toBe('secretx'));
    expect(made).toMatchObject([
      { output: 'output ', typed: '', isClosed: true },
      { input: true, output: 'more', typed: 'x', isClosed: false },
    ]);
    expect(notices(first)).toEqual([words, `${words}, and what is typed`]);
    await vi.waitFor(async () => expect(await world.store.sessions(user)).toMatchObject([{ record: 'input' }]));
    first.tell({ type: 'end' });
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
    expect(made.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  });

  it('is recorded where a live lease asks for it as it opens, together with its token; one that is taken later changes nothing', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const lease = { user, kind: 'job', holder: 'agent-7', ttlMs: 60_000, class: null } as const;
    const shells = made.length;
    const begin = async (session: string, record?: 'output'): Promise<TestClient> => {
      const claims = { session, ...(record === undefined ? {} : { record }) };
      const client = await open({ port: gateway.port, token: await world.token(user, claims) });
      await client.message('hello');
      return client;
    };
    const before = await begin('before');
    await world.store.take({ ...lease, id: LeaseId.parse('j1'), record: 'input' });
    const after = await begin('after', 'output');
    expect(notices(after)).toEqual(['this terminal is recorded: its output, and what is typed']);
    await world.store.release(user, LeaseId.parse('j1'), 'test');
    const last = await begin('last');
    expect([notices(before), notices(last)]).toEqual([[], []]);
    expect(made.slice(shells)).toMatchObject([{ session: 'after', input: true }]);
    for (const client of [before, after, last]) client.socket.close(1000);
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
  });

  it('that a token opens so is recorded from its first byte, and its client is told once', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    const client = await open({
      port: gateway.port,
      token: await world.token(user, { session: 'first', record: 'output' }),
    });
    await client.message('hello');
    exec.terminals.at(-1)?.says('all');
    await client.sees('all');
    expect(made.at(-1)).toMatchObject({ session: 'first', output: 'all', input: false });
    expect(notices(client)).toEqual(['this terminal is recorded: its output']);
    client.socket.close(1000);
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
  });
});
