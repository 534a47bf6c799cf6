import { expect, test } from 'vitest';
import {
  type Connection,
  type StayConnected,
  stayConnected,
} from '../../controller/console/src/live/stay-connected.ts';
import { FakeClock } from '../support/fake-clock.ts';

type Attempt = (opened: () => void) => Promise<void>;

/** Each connect is the next of these attempts; the last one goes on for ever. */
function world(attempts: readonly Attempt[]) {
  const clock = new FakeClock();
  const ending = new AbortController();
  const told: Connection[] = [];
  let connects = 0;
  let hope = (): void => {};
  const how: StayConnected = {
    clock,
    random: () => 1,
    wordsOf: (error) => (error instanceof Error ? error.message : String(error)),
    isFinal: (error) => error instanceof RangeError,
    on: (connection) => told.push(connection),
    onHope(listener) {
      hope = listener;
      return () => {
        hope = () => {};
      };
    },
    async connect(opened, signal) {
      const attempt = attempts[connects];
      connects += 1;
      if (attempt) await attempt(opened);
      else await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  };
  const run = stayConnected(how, ending.signal);
  return { clock, told, run, ending, connects: () => connects, hope: () => hope() };
}

const fails: Attempt = async () => {
  throw new Error('the controller does not answer');
};

test('a lost stream is told with its reason, and tried again ever more slowly', async () => {
  const { clock, told, run, ending, connects } = world([fails, fails, fails]);
  await clock.advance(0);
  expect(told).toEqual([
    { is: 'connecting' },
    { is: 'lost', why: 'the controller does not answer', attempt: 1, retryInMs: 500 },
  ]);
  await clock.advance(499);
  expect(connects()).toBe(1);
  await clock.advance(1);
  expect(connects()).toBe(2);
  await clock.advance(1_000);
  expect(told.at(-1)).toMatchObject({ attempt: 3, retryInMs: 2_000 });
  ending.abort();
  await run;
  expect(clock.pending).toBe(0);
});

test('a stream that lasted makes the next wait short again, one that broke at once does not', async () => {
  const { clock, told, run, ending } = world([
    fails,
    async (opened) => opened(),
    async (opened) => {
      opened();
      await new Promise<void>((resolve) => clock.after(5_000, resolve));
    },
  ]);
  await clock.advance(0);
  await clock.advance(500);
  expect(told.at(-1)).toMatchObject({ is: 'lost', attempt: 2, retryInMs: 1_000 });
  await clock.advance(6_000);
  expect(told.at(-1)).toMatchObject({ is: 'lost', attempt: 1, retryInMs: 500, why: expect.stringContaining('ended') });
  ending.abort();
  await run;
});

test('who hears that the network is back does not wait', async () => {
  const { clock, run, ending, connects, hope } = world([fails]);
  await clock.advance(0);
  hope();
  await clock.advance(0);
  expect(connects()).toBe(2);
  expect(clock.pending).toBe(0);
  ending.abort();
  await run;
});

test('what no other attempt can mend is thrown', async () => {
  const { run } = world([
    async () => {
      throw new RangeError('logged out');
    },
  ]);
  await expect(run).rejects.toThrow('logged out');
});
