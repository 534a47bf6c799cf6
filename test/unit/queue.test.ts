import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeadlineHeap } from '../../controller/src/queue/deadline-heap.ts';
import { TokenBucket } from '../../controller/src/queue/token-bucket.ts';
import { WorkQueue } from '../../controller/src/queue/work-queue.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

/** A queue whose passes end when the test says so. */
class Stage {
  readonly clock = new FakeClock();
  readonly begun: string[] = [];
  readonly thrown: { key: string; retryInMs: number }[] = [];
  readonly queue: WorkQueue<string>;
  private readonly running = new Map<string, { end: (ms: number | null) => void; fail: (error: Error) => void }>();

  constructor(workers = 2) {
    this.queue = new WorkQueue<string>({
      clock: this.clock,
      workers,
      process: (key) => {
        if (this.running.has(key)) throw new Error(`two passes for ${key} at once`);
        this.begun.push(key);
        return new Promise((resolve, reject) => {
          this.running.set(key, { end: (requeueAfterMs) => resolve({ requeueAfterMs }), fail: reject });
        });
      },
      onThrow: (key, _error, retryInMs) => this.thrown.push({ key, retryInMs }),
    });
  }

  async end(key: string, requeueAfterMs: number | null = null): Promise<void> {
    this.take(key).end(requeueAfterMs);
    await settled();
  }

  async fail(key: string): Promise<void> {
    this.take(key).fail(new Error('no'));
    await settled();
  }

  private take(key: string): { end: (ms: number | null) => void; fail: (error: Error) => void } {
    const pass = this.running.get(key);
    if (pass === undefined) throw new Error(`no pass of ${key} runs`);
    this.running.delete(key);
    return pass;
  }
}

describe('the work queue', () => {
  test('never runs two passes for one key at once, and runs a key again that was added meanwhile, once', async () => {
    const { queue, begun, end } = bound(new Stage());
    queue.add('a', 'person');
    queue.add('a', 'person');
    queue.add('a', 'housekeeping');
    expect(begun).toEqual(['a']);
    await end('a');
    expect(begun).toEqual(['a', 'a']);
    await end('a');
    expect(begun).toEqual(['a', 'a']);
    expect(queue.stats()).toEqual({ waiting: 0, processing: 0, scheduled: 0, longestWaitMs: 0 });
  });

  test('runs as many passes at once as there are workers, people first, each key once', async () => {
    const { queue, begun, end } = bound(new Stage(1));
    for (const key of ['first', 'house', 'promoted']) queue.add(key, 'housekeeping');
    queue.add('person', 'person');
    queue.add('promoted', 'person');
    queue.add('promoted', 'housekeeping');
    expect(queue.stats()).toMatchObject({ waiting: 3, processing: 1 });
    for (const key of ['first', 'person', 'promoted', 'house']) await end(key);
    expect(begun).toEqual(['first', 'person', 'promoted', 'house']);
  });

  test('does not starve housekeeping, however many people wait', async () => {
    const { queue, begun, end } = bound(new Stage(1));
    queue.add('p0', 'person');
    queue.add('house', 'housekeeping');
    for (let i = 1; i < 100; i += 1) queue.add(`p${i}`, 'person');
    queue.add('house-2', 'housekeeping');
    for (let i = 0; i < 40; i += 1) await end(begun.at(-1) ?? '');
    // One is running when the first housekeeping comes; then sixteen people, one of the house, sixteen people, and so on.
    expect([begun.indexOf('house'), begun.indexOf('house-2')]).toEqual([17, 34]);
  });

  test('counts the people who went first only from when housekeeping waits', async () => {
    const { queue, begun, end } = bound(new Stage(1));
    for (let i = 0; i < 60; i += 1) queue.add(`p${i}`, 'person');
    for (let i = 0; i < 30; i += 1) await end(begun.at(-1) ?? '');
    queue.add('house', 'housekeeping');
    for (let i = 0; i < 20; i += 1) await end(begun.at(-1) ?? '');
    expect(begun.indexOf('house')).toBe(31 + 16);
  });

  test('goes on where the housekeeping whose turn it is becomes what a person waits for', async () => {
    const { queue, begun, end } = bound(new Stage(1));
    queue.add('p0', 'person');
    queue.add('house', 'housekeeping');
    for (let i = 1; i <= 16; i += 1) queue.add(`p${i}`, 'person');
    for (let i = 0; i < 16; i += 1) await end(`p${i}`);
    queue.add('house', 'person');
    await end('p16');
    expect(begun.at(-1)).toBe('house');
  });

  test('keeps the place of a key that is added again, and the priority of one that a person waits for', async () => {
    const { queue, begun, end } = bound(new Stage(1));
    for (const key of ['a', 'b', 'c', 'b']) queue.add(key, 'housekeeping');
    queue.add('a', 'person');
    queue.add('a', 'housekeeping'); // it runs: it is to run again, for the person
    for (const key of ['a', 'a', 'b', 'c']) await end(key);
    expect(begun).toEqual(['a', 'a', 'b', 'c']);
  });

  test('begins at once what is asked for after no time', () => {
    const { queue, begun, clock } = bound(new Stage());
    queue.addAfter('a', 0);
    queue.addAfter('b', -5);
    expect(begun).toEqual(['a', 'b']);
    expect(clock.pending).toBe(0);
  });

  test('lets a deadline pass while all workers are busy, or its key runs: the key comes when there is room', async () => {
    const { queue, begun, clock, end } = bound(new Stage(1));
    queue.add('busy', 'person');
    queue.addAfter('busy', 10);
    queue.addAfter('late', 10);
    await clock.advance(10);
    expect(queue.stats()).toEqual({ waiting: 1, processing: 1, scheduled: 0, longestWaitMs: 0 });
    await end('busy');
    await end('late');
    expect(begun).toEqual(['busy', 'late', 'busy']);
  });

  test('sets a timer only for a deadline before all others', () => {
    const { queue, clock } = bound(new Stage());
    for (let i = 0; i < 100; i += 1) queue.addAfter(`k${i}`, 50 + i);
    queue.addAfter('k-too', 50);
    expect(clock.armed).toBe(1);
    queue.addAfter('first', 20);
    expect(clock.armed).toBe(2);
  });

  test('keeps the earliest deadline of a key, with one timer for all', async () => {
    const { queue, begun, clock } = bound(new Stage());
    queue.addAfter('a', 500);
    queue.addAfter('a', 100);
    queue.addAfter('a', 900);
    queue.addAfter('b', 50);
    expect(clock.pending).toBe(1);
    await clock.advance(49);
    expect(begun).toEqual([]);
    await clock.advance(1);
    expect(begun).toEqual(['b']);
    await clock.advance(50);
    expect(begun).toEqual(['b', 'a']);
    await clock.advance(10_000);
    expect(begun).toEqual(['b', 'a']);
    expect(clock.pending).toBe(0);
  });

  test('drops the deadline of a key that begins for another reason', async () => {
    const { queue, begun, clock, end } = bound(new Stage());
    queue.addAfter('a', 100);
    queue.add('a', 'person');
    await end('a', 5_000);
    await clock.advance(4_999);
    expect(begun).toEqual(['a']);
    await clock.advance(1);
    expect(begun).toEqual(['a', 'a']);
  });

  test('asks again at once where a pass wants it, at the priority that the pass had', async () => {
    const { queue, begun, end } = bound(new Stage(1));
    queue.add('a', 'person');
    queue.add('b', 'housekeeping');
    await end('a', 0);
    expect(begun).toEqual(['a', 'a']);
    await end('a');
    expect(begun).toEqual(['a', 'a', 'b']);
  });

  test('backs off for a pass that threw, ever longer, and forgets it when one succeeds', async () => {
    const { queue, thrown, clock, end, fail } = bound(new Stage());
    queue.add('a', 'person');
    for (let i = 0; i < 12; i += 1) {
      await fail('a');
      await clock.advance(thrown.at(-1)?.retryInMs ?? 0);
    }
    const waits = thrown.map(({ retryInMs }) => retryInMs);
    expect(waits.slice(0, 4)).toEqual([100, 200, 400, 800]);
    expect(waits.at(-1)).toBe(30_000);
    await end('a');
    queue.add('a', 'person');
    await fail('a');
    expect(thrown.at(-1)?.retryInMs).toBe(100);
  });

  test('waits for a month without a busy loop: a timer of more than 2^31 ms would fire at once', async () => {
    const { queue, begun, clock } = bound(new Stage());
    const monthMs = 30 * 24 * 3_600_000;
    queue.addAfter('pinned', monthMs);
    expect(clock.nextInMs).toBeLessThan(2 ** 31);
    await clock.advance(monthMs - 1);
    expect(begun).toEqual([]);
    await clock.advance(1);
    expect(begun).toEqual(['pinned']);
  });

  test('drains when it is closed: nothing new begins, what runs may end, no timer is left', async () => {
    const { queue, begun, clock, end, fail } = bound(new Stage(2));
    for (const key of ['a', 'b', 'c']) queue.add(key, 'person');
    queue.add('house', 'housekeeping');
    queue.addAfter('d', 100);
    let isClosed = false;
    const closing = queue.close().then(() => {
      isClosed = true;
    });
    queue.add('e', 'person');
    queue.add('e', 'housekeeping');
    queue.addAfter('f', 0);
    queue.addAfter('g', 50);
    expect(clock.pending).toBe(0);
    expect(queue.stats()).toMatchObject({ waiting: 0, processing: 2 });
    await end('a', 0);
    expect(isClosed).toBe(false);
    await fail('b');
    await closing;
    await clock.advance(60_000);
    expect(begun).toEqual(['a', 'b']);
    expect(clock.pending).toBe(0);
  });
});

test('deadlines come up in order, the earliest of each key, whatever was set and deleted', () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 8 }),
    at: fc.integer({ min: 0, max: 50 }),
    does: fc.constantFrom('set', 'set', 'set', 'delete', 'take'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const heap = new DeadlineHeap<number>();
      const model = new Map<number, number>();
      const check = (): void => {
        const next = heap.peek();
        const earliest = model.size === 0 ? null : Math.min(...model.values());
        expect(next?.at ?? null).toBe(earliest);
        if (next !== null) expect(model.get(next.key)).toBe(next.at);
        expect(heap.size).toBe(model.size);
      };
      for (const { key, at, does } of steps) {
        if (does === 'set') {
          heap.set(key, at);
          model.set(key, Math.min(at, model.get(key) ?? at));
        } else {
          const gone = does === 'delete' ? key : (heap.peek()?.key ?? key);
          heap.delete(gone);
          model.delete(gone);
        }
        check();
      }
    }),
    { numRuns: 300 },
  );
});

test('entries that no longer count pile up to a limit, and no further', () => {
  const heap = new DeadlineHeap<string>();
  const entries: unknown = Reflect.get(heap, 'entries');
  if (!Array.isArray(entries)) throw new Error('the heap keeps its entries elsewhere now');
  const held = (): number => [Reflect.get(heap, 'entries')].flat().length;
  heap.set('first', 0);
  heap.set('again', 10_000);
  heap.set('again', 10_000);
  heap.set('again', 11_000);
  expect(held()).toBe(2);
  let most = 0;
  for (let at = 9_999; at > 9_000; at -= 1) {
    heap.set('again', at);
    most = Math.max(most, held());
  }
  expect(most).toBe(64 + 4 * 2);
  expect(heap.peek()).toEqual({ key: 'first', at: 0 });
  heap.delete('first');
  expect(heap.peek()).toEqual({ key: 'again', at: 9_001 });
  const others = Array.from({ length: 12 }, (_, i) => ({ key: `other ${i}`, at: 9_100 + ((i * 7) % 12) }));
  for (const { key, at } of others) heap.set(key, at);
  for (let at = 9_000; at > 8_000; at -= 1) heap.set('again', at);
  for (const next of [{ key: 'again', at: 8_001 }, ...others.toSorted((a, b) => a.at - b.at)]) {
    expect(heap.peek()).toEqual(next);
    heap.delete(next.key);
  }
  expect([heap.peek(), held()]).toEqual([null, 0]);
});

test('a bucket fills with time, also by parts of a token', async () => {
  const clock = new FakeClock();
  const bucket = new TokenBucket({ clock, perSecond: 10, burst: 5 });
  const signal = new AbortController().signal;
  let taken = 0;
  const take = (): void => void bucket.take(signal).then(() => (taken += 1));
  for (let i = 0; i < 5; i += 1) take();
  await clock.advance(250); // two and a half
  for (let i = 0; i < 4; i += 1) take();
  await settled();
  expect([taken, clock.nextInMs]).toEqual([7, 50]);
  await clock.advance(50);
  expect(taken).toBe(8);
  await clock.advance(100);
  expect([taken, clock.pending]).toEqual([9, 0]);
});

test('a bucket gives its burst at once, then one after the other in turn', async () => {
  const clock = new FakeClock();
  const bucket = new TokenBucket({ clock, perSecond: 10, burst: 2 });
  const signal = new AbortController().signal;
  const taken: number[] = [];
  for (let i = 0; i < 5; i += 1) void bucket.take(signal).then(() => taken.push(i));
  await settled();
  expect(taken).toEqual([0, 1]);
  await clock.advance(99);
  expect(taken).toEqual([0, 1]);
  await clock.advance(1);
  expect(taken).toEqual([0, 1, 2]);
  await clock.advance(200);
  expect(taken).toEqual([0, 1, 2, 3, 4]);
  await clock.advance(60_000);
  for (let i = 5; i < 9; i += 1) void bucket.take(signal).then(() => taken.push(i));
  await settled();
  expect(taken.length).toBe(7); // a long pause earns no more than the burst
  await clock.advance(200);
  expect(clock.pending).toBe(0);
});

test('who waits for a token and is aborted is told so, and leaves no timer', async () => {
  const clock = new FakeClock();
  const bucket = new TokenBucket({ clock, perSecond: 1, burst: 1 });
  const abort = new AbortController();
  await bucket.take(abort.signal);
  const waiting = expect(bucket.take(abort.signal)).rejects.toThrow('the term is over');
  abort.abort(new Error('the term is over'));
  await waiting;
  expect(clock.pending).toBe(0);
});

/** The methods as functions, so that tests read short. */
function bound(stage: Stage) {
  const { queue, begun, thrown, clock } = stage;
  const end = (key: string, requeueAfterMs: number | null = null) => stage.end(key, requeueAfterMs);
  return { queue, begun, thrown, clock, end, fail: (key: string) => stage.fail(key) };
}
