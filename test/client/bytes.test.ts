import { describe, expect, test } from 'vitest';
import { clientWorld } from './fake-socket.ts';

/** What is handed out, acknowledged, typed and typed again. */

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

describe('output', () => {
  test('a screen made anew counts nowhere, and its answers are dropped until it was parsed', async () => {
    const world = clientWorld();
    const first = await world.greeted(1, { start: 'screen', replayBytes: 6, offset: 50 });
    expect(world.event('screen')).toEqual([{ type: 'screen', replayBytes: 6, offset: 50 }]);
    first.output('replay');
    first.output('xyz');
    expect(world.terminal.replaying).toBe(true);
    await world.terminal.type(bytes('\u001b[1;1R'), { answer: true });
    await world.terminal.type(bytes('k'));
    world.parse();
    expect(world.terminal.replaying).toBe(false);
    await world.terminal.type(bytes('\u001b[0n'), { answer: true });
    expect(first.typed()).toBe('k\u001b[0n');
    first.end(1006);
    await world.pass(250);
    const second = await world.socket(2);
    second.open();
    expect(second.messages).toMatchObject([{ offset: 53 }]);
  });

  test('half a screen is asked for again as a whole', async () => {
    const world = clientWorld();
    const first = await world.greeted(1);
    first.output('abc');
    first.say({ type: 'screen', replayBytes: 10, offset: 900 });
    first.output('half');
    first.end(1006);
    await world.pass(250);
    const second = await world.socket(2);
    second.open();
    expect(second.messages).toEqual([{ type: 'hello', ticket: 'ticket-1', cols: 80, rows: 24 }]);
  });

  test('a gateway that goes on at another byte is asked for the whole screen', async () => {
    const world = clientWorld();
    const first = await world.greeted(1);
    first.output('abc');
    first.end(1006);
    await world.pass(250);
    const second = await world.greeted(2, { start: 'exact', offset: 7, ticket: 'ticket-2' });
    expect(second.closedWith).not.toBeNull();
    expect(world.event('hello')).toHaveLength(1);
    await world.socket(2);
    await world.pass(5_000);
    const third = await world.socket(3);
    third.open();
    expect(third.messages).toEqual([{ type: 'hello', ticket: 'ticket-2', cols: 80, rows: 24 }]);
  });

  test('what was parsed is acknowledged by the 32 KiB, its rest soon after, and bytes of a lost socket never', async () => {
    const world = clientWorld();
    const first = await world.greeted(1);
    const acks = (socket: typeof first): number[] =>
      socket.messages.flatMap((message) => (message.type === 'ack' ? [message.bytes] : []));
    first.output('x'.repeat(40_000));
    expect(acks(first)).toEqual([]);
    world.parse();
    expect(acks(first)).toEqual([40_000]);
    for (const key of ['a', 'b', 'c']) {
      first.output(key);
      world.parse();
    }
    expect(acks(first)).toEqual([40_000]);
    await world.pass(50);
    expect(acks(first)).toEqual([40_000, 3]);
    first.output('y'.repeat(40_000));
    first.end(1006);
    await world.pass(250);
    const second = await world.greeted(2, { start: 'exact', offset: 80_003 });
    world.parse();
    await world.pass(50);
    expect([acks(first), acks(second)]).toEqual([[40_000, 3], []]);
  });
});

describe('input', () => {
  test('waits for the hello, and goes on from what was received', async () => {
    const world = clientWorld();
    await world.terminal.type(bytes('early '));
    const first = await world.greeted(1);
    await world.terminal.type(bytes('one '));
    await world.terminal.type(bytes('two '));
    expect(first.typed()).toBe('early one two ');
    first.say({ type: 'received', bytes: 6 });
    first.end(1006);
    await world.terminal.type(bytes('three'));
    await world.pass(250);
    const second = await world.greeted(2, { start: 'exact', received: 8 });
    expect(second.typed()).toBe('e two three');
    // The gateway counts on.
    second.say({ type: 'received', bytes: 19 });
    second.end(1006);
    await world.pass(5_000);
    const third = await world.greeted(3, { start: 'exact', received: 19 });
    expect(third.typed()).toBe('');
    expect(world.event('input-lost')).toEqual([]);
  });

  test.each([
    ['by another gateway, which does not know what arrived', { start: 'screen', received: null }, 'kept'],
    ['to a new session', { start: 'new', received: null }, ''],
    ['to a shell in another box', { start: 'exact', received: 0, containerId: 'c2' }, ''],
  ] as const)('is dropped rather than typed twice, and told, after a resume %s', async (_how, hello, typed) => {
    const world = clientWorld();
    const first = await world.greeted(1);
    await world.terminal.type(bytes('sent'));
    first.end(1006);
    await world.terminal.type(bytes('kept'));
    await world.pass(250);
    const second = await world.greeted(2, hello);
    expect(second.typed()).toBe(typed);
    expect(world.event('input-lost')).toEqual([{ type: 'input-lost', bytes: 8 - typed.length }]);
    // From here on it is counted anew.
    await world.terminal.type(bytes('more'));
    second.say({ type: 'received', bytes: typed.length + 2 });
    second.end(1006);
    await world.pass(5_000);
    const third = await world.greeted(3, { ...hello, start: 'exact', received: typed.length + 3 });
    expect(third.typed()).toBe('e');
  });

  test('a client that joins by a token is a new one to the gateway', async () => {
    const world = clientWorld();
    const first = await world.greeted(1, { ticket: null });
    await world.terminal.type(bytes('sent'));
    first.end(1006);
    await world.pass(250);
    const second = await world.greeted(2, { start: 'exact', received: 0 });
    expect(second.typed()).toBe('');
    expect(world.event('input-lost')).toEqual([{ type: 'input-lost', bytes: 4 }]);
  });

  test('leaves in frames of 64 KiB, a window of them at a time; type() waits for room', async () => {
    const world = clientWorld();
    const socket = await world.greeted(1);
    let room = false;
    const typed = world.terminal.type(new Uint8Array(1_000_000)).then(() => {
      room = true;
    });
    expect(socket.frames.map((frame) => frame.length)).toEqual([65_536, 65_536, 65_536, 65_536]);
    for (let received = 65_536; received < 1_000_000 - 262_144; received += 65_536) {
      expect(room).toBe(false);
      socket.say({ type: 'received', bytes: received });
      await world.socket(1);
    }
    socket.say({ type: 'received', bytes: 1_000_000 - 262_144 });
    await typed;
    expect(socket.frames.reduce((sum, frame) => sum + frame.length, 0)).toBeGreaterThan(1_000_000 - 65_536);
  });

  test('has a bound for those who do not wait, and nobody waits for ever', async () => {
    const limits = { input: { chunkBytes: 10, windowBytes: 20, mostBytes: 100 } };
    const world = clientWorld({ limits });
    const waiting = world.terminal.type(new Uint8Array(90));
    await expect(world.terminal.type(new Uint8Array(11))).rejects.toThrow(/101 bytes .* more than 100/);
    world.terminal.close();
    await world.pass(1_000);
    await waiting;
    await world.closed();
    await world.terminal.type(new Uint8Array(1_000));
  });

  test('of a read-only terminal is sent for the gateway to refuse, and kept by nobody', async () => {
    const world = clientWorld();
    const first = await world.greeted(1, { mode: 'ro' });
    await world.terminal.type(new Uint8Array(1_000_000));
    first.end(1006);
    await world.pass(250);
    const second = await world.greeted(2, { mode: 'ro', start: 'exact', received: 0 });
    expect(second.frames).toEqual([]);
  });
});

test('a size out of bounds is ignored', async () => {
  const world = clientWorld();
  const socket = await world.greeted(1);
  expect(world.terminal.resize({ cols: Number.NaN, rows: 24 })).toBe(false);
  expect(socket.messages).toHaveLength(1);
});
