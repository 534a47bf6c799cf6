import { describe, expect, it } from 'vitest';
import { protocolDialect, rawDialect } from '../../gateway/src/dialect.ts';
import { StartQueue } from '../../gateway/src/exec/start-queue.ts';
import { FlowControl } from '../../gateway/src/flow-control.ts';
import { OutputJoiner } from '../../gateway/src/join-output.ts';
import type { Clock } from '#shared/clock.ts';
import { closeNameOf, closeTable } from '#shared/terminal-protocol.ts';

function handClock(): Clock & { pass(ms: number): void } {
  let now = 0;
  let due: { at: number; run: () => void }[] = [];
  return {
    monotonicMs: () => now,
    after(delayMs, run) {
      const timer = { at: now + delayMs, run };
      due.push(timer);
      return () => {
        due = due.filter((other) => other !== timer);
      };
    },
    pass(ms) {
      now += ms;
      for (const timer of due.filter(({ at }) => at <= now)) {
        due = due.filter((other) => other !== timer);
        timer.run();
      }
    },
  };
}

describe('joined output', () => {
  function joined() {
    const clock = handClock();
    const sent: string[] = [];
    const joiner = new OutputJoiner(clock, { joinMs: 4, joinBytes: 10 }, (bytes) => sent.push(bytes.toString()));
    return { clock, sent, joiner };
  }

  it('sends the first bytes at once, joins what follows for 4 ms or 64 KiB, and starts over after a silence', () => {
    const { clock, sent, joiner } = joined();
    for (const text of ['a', 'b', 'c']) joiner.push(Buffer.from(text));
    expect(sent).toEqual(['a']);
    clock.pass(4);
    expect(sent).toEqual(['a', 'bc']);
    joiner.push(Buffer.from('0123456789')); // within 4 ms of the last, but enough
    expect(sent).toEqual(['a', 'bc', '0123456789']);
    clock.pass(4);
    joiner.push(Buffer.from('d'));
    joiner.push(Buffer.from('e'));
    joiner.flush();
    expect(sent.join('')).toBe('abc0123456789de');
  });

  it('does not hold the answer to an input, whatever was sent just before it', () => {
    const { clock, sent, joiner } = joined();
    for (const text of ['a', 'b']) joiner.push(Buffer.from(text));
    joiner.input();
    for (const text of ['c', 'd']) joiner.push(Buffer.from(text)); // only the first of them is the answer
    expect(sent).toEqual(['a', 'bc']);
    clock.pass(4);
    expect(sent).toEqual(['a', 'bc', 'd']);
  });

  it('takes nothing for the answer that came before the input', () => {
    const { clock, sent, joiner } = joined();
    for (const text of ['a', 'b']) joiner.push(Buffer.from(text));
    joiner.input();
    clock.pass(4);
    expect(sent).toEqual(['a', 'b']);
    joiner.push(Buffer.from('c'));
    expect(sent).toEqual(['a', 'b', 'c']);
  });

  it('does not wait from the last output on, but for the rest of 4 ms', () => {
    const { clock, sent, joiner } = joined();
    joiner.push(Buffer.from('a'));
    clock.pass(3);
    joiner.push(Buffer.from('b'));
    expect(sent).toEqual(['a']);
    clock.pass(1);
    expect(sent).toEqual(['a', 'b']);
  });
});

describe('flow control', () => {
  const marks = { ack: { highBytes: 100, lowBytes: 20 }, buffered: { highBytes: 1_000, lowBytes: 500 } };

  it('is full above the high mark until below the low one', () => {
    const flow = new FlowControl(marks);
    flow.sent(100);
    expect(flow.isFull(0, true)).toBe(false);
    flow.sent(1);
    expect(flow.isFull(0, true)).toBe(true);
    expect(flow.ack(80)).toBe(true);
    expect(flow.isFull(0, true)).toBe(true);
    expect(flow.ack(1)).toBe(true);
    expect(flow.isFull(0, true)).toBe(false);
    expect(flow.ack(21)).toBe(false);
  });

  it('does not wait for acks that cannot arrive, but for the connection always', () => {
    const flow = new FlowControl(marks);
    flow.sent(5_000);
    expect(flow.isFull(0, false)).toBe(false);
    expect(flow.isFull(1_001, false)).toBe(true);
    expect(flow.isFull(600, false)).toBe(true);
    expect(flow.isFull(400, false)).toBe(false);
  });
});

describe('the queue of starts', () => {
  it('serves users in turn, a user first come first served, and forgets who has gone', async () => {
    const queue = new StartQueue(1);
    const order: string[] = [];
    const gate = Promise.withResolvers<void>();
    const signal = new AbortController().signal;
    const first = queue.run('a', () => gate.promise, signal);
    const start = (user: string, name: string, by = signal): Promise<number> =>
      queue.run(user, async () => order.push(name), by);
    const gone = new AbortController();
    const waiting = [
      start('a', 'a1'),
      start('a', 'a2'),
      start('b', 'b1'),
      start('b', 'b2', gone.signal),
      start('c', 'c1'),
    ];
    gone.abort(new Error('gone'));
    gate.resolve();
    await first;
    const results = await Promise.allSettled(waiting);
    expect(order).toEqual(['a1', 'b1', 'c1', 'a2']);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(await start('d', 'd1')).toBe(5);
  });

  it('runs one start of a user at a time, and lets others pass', async () => {
    const queue = new StartQueue(2);
    const signal = new AbortController().signal;
    const order: string[] = [];
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const begin = (name: string, until?: Promise<void>): Promise<void> =>
      queue.run(
        name.slice(0, 1),
        async () => {
          order.push(name);
          await until;
        },
        signal,
      );
    const all = [begin('a1', gates[0].promise), begin('a2', gates[1].promise), begin('b1')];
    await all[2];
    expect(order).toEqual(['a1', 'b1']);
    gates[0].resolve();
    gates[1].resolve();
    await Promise.all(all);
    expect(order).toEqual(['a1', 'b1', 'a2']);
  });

  it('runs no more at once than it may, also when starts fail', async () => {
    const queue = new StartQueue(3);
    let running = 0;
    let most = 0;
    const signal = new AbortController().signal;
    const starts = Array.from({ length: 50 }, (_, i) =>
      queue.run(
        `user-${i % 7}`,
        async () => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setTimeout(resolve, 1));
          running -= 1;
          if (i % 3 === 0) throw new Error('failed');
        },
        signal,
      ),
    );
    await Promise.allSettled(starts);
    expect(most).toBe(3);
    expect(running).toBe(0);
  });
});

describe('dialects', () => {
  const status = { type: 'status', phase: 'provisioning', step: 'pulling', progress: null } as const;

  it('the protocol refuses what it does not know, with the field', () => {
    expect(protocolDialect.read('{"type":"resize","cols":1.5,"rows":1}')).toMatchObject({
      is: 'refused',
      why: expect.stringContaining('cols'),
    });
    expect(protocolDialect.read('{"type":"ack","bytes":-1}')).toMatchObject({ is: 'refused' });
    expect(protocolDialect.read('{"type":"ack","bytes":1}')).toEqual({
      is: 'message',
      message: { type: 'ack', bytes: 1 },
    });
  });

  it('raw shows the latest status on one line, clears it for the shell, and lets no control character through', () => {
    const raw = rawDialect();
    expect(raw.read('{"type":"ack","bytes":1}')).toMatchObject({ is: 'input' });
    expect(String(raw.write({ ...status, message: 'one' }))).toBe('\u001b[2mone\u001b[0m');
    expect(raw.write({ ...status, message: 'one' })).toBeNull();
    expect(String(raw.write({ ...status, message: 'two\u001b]0;x\u0007' }))).toBe(
      '\r\u001b[2K\u001b[2mtwo ]0;x \u001b[0m',
    );
    const hello = {
      session: 's',
      user: 'u',
      mode: 'rw',
      containerId: 'c',
      viewer: 'v1',
      start: 'new',
      replayBytes: 0,
      offset: 0,
      received: 0,
      ticket: null,
      graceMs: 1,
      cols: 80,
      rows: 24,
      highBytes: 1,
      lowBytes: 1,
      ackEveryBytes: 1,
    } as const;
    expect(String(raw.write({ type: 'hello', ...hello }))).toBe('\r\u001b[2K');
  });
});

it('every close code is one entry of the table', () => {
  const codes = Object.values(closeTable).map(({ code }) => code);
  expect(new Set(codes).size).toBe(codes.length);
  expect(closeNameOf(4410)).toBe('reaped');
  expect(closeNameOf(1006)).toBeNull();
});
