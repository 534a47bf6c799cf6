import { describe, expect, test } from 'vitest';
import { clientWorld } from './fake-socket.ts';

/** When the client comes back, where to, and with what. */

test('the first connect shows a token, the next ones the ticket and how far the output is', async () => {
  const world = clientWorld();
  const first = await world.socket(1);
  expect(first.protocols).toEqual(['spoonbox.v1', 'token.token-1']);
  expect(Object.fromEntries(first.url.searchParams)).toEqual({ cols: '80', rows: '24' });
  first.open();
  expect(first.messages).toEqual([{ type: 'hello', cols: 80, rows: 24 }]);
  first.hello({ offset: 100 });
  first.output('hello');
  expect(world.terminal.resize({ cols: 100, rows: 30 })).toBe(true);
  first.end(1006);
  await world.pass(250);
  const second = await world.socket(2);
  expect(second.protocols).toEqual(['spoonbox.v1']);
  expect(Object.fromEntries(second.url.searchParams)).toEqual({ session: 's1' });
  second.open();
  expect(second.messages).toEqual([{ type: 'hello', ticket: 'ticket-1', offset: 105, cols: 100, rows: 30 }]);
  expect(world.asked).toEqual([null]);
});

test('a ticket that is refused is followed by a token for the same session, at once', async () => {
  const world = clientWorld();
  const first = await world.greeted(1);
  first.output('abc');
  first.end(1006);
  await world.pass(250);
  const second = await world.socket(2);
  second.open();
  second.say({ type: 'error', code: 'ticket-refused', message: 'unknown' });
  second.end(4401);
  const third = await world.socket(3);
  expect(world.asked).toEqual([null, 's1']);
  third.open();
  expect(third.messages).toEqual([{ type: 'hello', offset: 3, cols: 80, rows: 24 }]);
});

test('where the session is elsewhere, that address is tried once, then the usual one again', async () => {
  const world = clientWorld();
  (await world.greeted(1)).end(1006);
  await world.pass(250);
  const second = await world.socket(2);
  second.open();
  second.say({ type: 'error', code: 'elsewhere', message: 'another gateway', address: 'ws://10.0.0.2:3921' });
  second.end(4409);
  const third = await world.socket(3);
  expect(third.url.href).toBe('ws://10.0.0.2:3921/v1/terminal?session=s1');
  expect(third.protocols).toEqual(['spoonbox.v1']);
  third.fail(new Error('unreachable'));
  await world.pass(5_000);
  expect((await world.socket(4)).url.host).toBe('box.test');
});

test('a resize before the gateway has said hello is told after it, on each connection', async () => {
  const world = clientWorld();
  const first = await world.socket(1);
  first.open();
  world.terminal.resize({ cols: 100, rows: 30 });
  expect(first.messages).toEqual([{ type: 'hello', cols: 80, rows: 24 }]);
  first.hello();
  expect(first.messages.slice(1)).toEqual([{ type: 'resize', cols: 100, rows: 30 }]);
  first.end(1006);
  await world.pass(250);
  const second = await world.socket(2);
  second.open();
  second.hello();
  expect(second.messages).toEqual([expect.objectContaining({ type: 'hello', cols: 100, rows: 30 })]);
});

describe('waits', () => {
  test('double up to a bound, begin anew after a connection that lasted, and end', async () => {
    const world = clientWorld({ limits: { againForMs: 30_000 } });
    (await world.greeted(1)).end(1006);
    const waits = async (count: number): Promise<number[]> => {
      const seen: number[] = [];
      while (seen.length < count) {
        await world.socket(world.sockets.length);
        seen.push(world.event('reconnecting').at(-1)?.inMs ?? -1);
        await world.pass(seen.at(-1) ?? 0);
        (await world.socket(world.sockets.length)).end(1006);
      }
      return seen;
    };
    expect(await waits(7)).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    await world.pass(5_000);
    const up = await world.greeted(world.sockets.length);
    await world.pass(5_000);
    up.end(1006);
    expect(await waits(1)).toEqual([250]);
    await waits(10);
    expect(await world.closed()).toMatchObject({ how: 'gave-up' });
  });

  test('are up to half shorter by chance, and long at once where the gateway is crowded', async () => {
    const world = clientWorld({ random: () => 0 });
    (await world.greeted(1)).end(1006);
    await world.socket(1);
    expect(world.event('reconnecting')).toMatchObject([{ attempt: 1, inMs: 125 }]);
    await world.pass(125);
    (await world.socket(2)).end(4430);
    await world.socket(2);
    expect(world.event('reconnecting').at(-1)).toMatchObject({ attempt: 2, inMs: 2_500 });
  });

  test('are cut short when the network is back', async () => {
    const world = clientWorld();
    (await world.greeted(1)).end(1006);
    await world.socket(1);
    world.terminal.retryNow();
    await world.socket(2);
  });
});

describe('it is over', () => {
  test('after an exit, with what it said', async () => {
    const world = clientWorld();
    const socket = await world.greeted(1);
    socket.output('bye');
    socket.say({ type: 'exit', code: 3, reason: 'exited', message: 'the shell has ended' });
    socket.end(1000);
    expect(await world.closed()).toMatchObject({ how: 'exit', message: 'the shell has ended' });
    expect(world.event('exit')).toMatchObject([{ code: 3 }]);
    expect(world.seen()).toBe('bye');
  });

  test('after an exit also when the gateway never closes', async () => {
    const world = clientWorld();
    (await world.greeted(1)).say({ type: 'exit', code: 0, reason: 'exited', message: 'x' });
    await world.pass(1_000);
    expect(await world.closed()).toMatchObject({ how: 'exit' });
  });

  test.each([
    [4400, 'bad-message'],
    [4403, 'lease-refused'],
    [4410, 'reaped'],
    [4411, 'deleted'],
  ])('after a close with %i', async (code, name) => {
    const world = clientWorld();
    (await world.greeted(1)).end(code, 'why');
    expect(await world.closed()).toMatchObject({ how: 'refused', name, message: 'why' });
  });

  test('after two fresh tokens that were refused', async () => {
    const world = clientWorld();
    for (const count of [1, 2]) {
      const socket = await world.socket(count);
      socket.open();
      socket.say({ type: 'error', code: 'token-signature', message: 'made with another secret' });
      socket.end(4401);
      await world.pass(5_000);
    }
    expect(await world.closed()).toMatchObject({ how: 'refused', message: 'made with another secret' });
  });

  test('after a failure that no other attempt mends', async () => {
    const refused = new Error('there is no such user');
    const world = clientWorld({ getToken: () => Promise.reject(refused), isFinal: (error) => error === refused });
    expect(await world.closed()).toMatchObject({ how: 'refused', error: refused, message: 'there is no such user' });
  });

  test('at once where the first connect is not to be tried again', async () => {
    const world = clientWorld({ limits: { firstForMs: 0 } });
    (await world.socket(1)).fail(new Error('refused'));
    expect(await world.closed()).toMatchObject({ how: 'gave-up', message: 'refused' });
  });

  test('close() says that it is done, while it waits too; abort is the same', async () => {
    const attached = clientWorld();
    const socket = await attached.greeted(1);
    attached.terminal.close();
    expect(socket.closedWith).toBe(1000);
    socket.end(1000);
    expect(await attached.closed()).toMatchObject({ how: 'done' });

    const silent = clientWorld();
    await silent.greeted(1);
    silent.abort.abort();
    await silent.pass(1_000);
    expect(await silent.closed()).toMatchObject({ how: 'done' });

    const waiting = clientWorld();
    (await waiting.greeted(1)).end(1006);
    await waiting.socket(1);
    waiting.terminal.close();
    expect(await waiting.closed()).toMatchObject({ how: 'done' });
  });
});

test('a gateway that falls silent is asked for a sign of life, then given up without a word of being done', async () => {
  const world = clientWorld();
  const socket = await world.greeted(1);
  await world.pass(15_000);
  expect(socket.messages.at(-1)).toEqual({ type: 'ping' });
  socket.say({ type: 'pong' });
  await world.pass(10_000);
  expect(world.event('reconnecting')).toEqual([]);
  await world.pass(15_000);
  expect(socket.messages.filter(({ type }) => type === 'ping')).toHaveLength(2);
  await world.pass(10_250);
  expect(socket.closedWith).not.toBe(1000);
  await world.socket(2);
  // What still comes from the old one is not the terminal's any more.
  socket.output('late');
  expect(world.seen()).toBe('');
});

test('a connect that nobody answers is given up, and so is a token that does not come', async () => {
  const world = clientWorld();
  await world.socket(1);
  await world.pass(10_250);
  await world.socket(2);
  const hanging = clientWorld({
    limits: { firstForMs: 0 },
    getToken: (_session, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  });
  await hanging.pass(30_000);
  expect(await hanging.closed()).toMatchObject({ how: 'gave-up', message: 'no token came in time' });
});

test('end() is said now, or as soon as there is a connection; what a newer gateway says is ignored', async () => {
  const world = clientWorld();
  world.terminal.end();
  const socket = await world.greeted(1);
  expect(socket.messages.at(-1)).toEqual({ type: 'end' });
  socket.say({ type: 'later-than-us' });
  socket.say({ type: 'exit', code: null, reason: 'ended', message: 'ended' });
  socket.end(1000);
  expect(await world.closed()).toMatchObject({ how: 'exit' });
});
