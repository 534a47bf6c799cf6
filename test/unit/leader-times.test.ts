import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLogger } from '#shared/log.ts';
import { Leader, type Term } from '../../controller/src/leader.ts';
import type { LeaderStore, LeadReply } from '../../controller/src/store/leader-store.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { fakePort } from '../support/fake-port.ts';

/** When a process looks, takes, renews and gives up, by its own clock, of a heartbeat that answers at once. */

const ttlMs = 8_000;
const beatMs = 2_000;
const log = createLogger({ name: 'leader-test', level: 'silent' });

let clock: FakeClock;
let calls: string[];
let terms: Term[];
let problems: (string | null)[];
let beats: number;
let stop: AbortController;
let leader: Leader;
let running: Promise<void>;
let able: () => void;
let endTerm: (error: Error) => void;
/** what the heartbeat shows: a counter that somebody else moves, or that nobody leads */
let shown: { counter: number; free: boolean; holder: string };
let leads: boolean;
/** called before each answer; may throw, or not return */
let before: (call: string) => Promise<void>;

function reply(changes: Partial<LeadReply>): LeadReply {
  const { counter, free, holder } = shown;
  return { leads: false, counter, free, holder, previousAt: 0, now: 0, marker: '', fingerprint: '', ...changes };
}

async function answer(call: string, changes: Partial<LeadReply> = {}): Promise<LeadReply> {
  calls.push(`${clock.monotonicMs() - 1_000} ${call}`);
  await before(call);
  return reply(changes);
}

beforeEach(() => {
  clock = new FakeClock();
  [calls, terms, problems, beats] = [[], [], [], 0];
  stop = new AbortController();
  shown = { counter: 7, free: true, holder: 'other' };
  leads = true;
  before = async () => {};
  able = () => {};
  endTerm = () => {};
  const store = fakePort<LeaderStore>({
    look: () => answer('look'),
    take: (_candidate, seen) => answer(`take ${seen}`, { leads }),
    renew: () => answer('renew', { leads }),
    release: () => answer('release'),
  });
  leader = new Leader({
    ...{ store, clock, log, ttlMs, holder: 'me', fingerprint: '' },
    able: new Promise<void>((resolve) => (able = resolve)),
    onTerm: (term) => {
      terms.push(term);
      return new Promise((resolve, reject) => {
        endTerm = reject;
        term.signal.addEventListener('abort', () => resolve(), { once: true });
      });
    },
    onBeat: async () => {
      beats += 1;
    },
    onRedis: (problem) => problems.push(problem),
  });
});

afterEach(async () => {
  able();
  stop.abort(new Error('the test ends'));
  await running;
  expect(clock.pending, 'timers that are left').toBe(0);
});

/** The process begins; it is able to lead unless the test says otherwise. */
async function begin(isAble = true): Promise<void> {
  if (isAble) able();
  running = leader.run(stop.signal);
  await settled();
}

describe('a challenger', () => {
  test('takes a free lead at once, with the counter that it saw', async () => {
    await begin();
    expect(calls).toEqual(['0 look', '0 take 7']);
    expect(leader.status()).toEqual({ leads: true, holder: 'me', sinceMs: 1_000 });
    expect(terms).toMatchObject([{ ttlMs, first: { leads: true, counter: 7 } }]);
  });

  test('looks four times a TTL, tells who leads, and waits for two TTLs in which the counter stands still', async () => {
    shown.free = false;
    await begin();
    expect(leader.status()).toEqual({ leads: false, holder: 'other', sinceMs: null });
    await clock.advance(5_000);
    shown.counter = 8; // seen at 6000
    await clock.advance(16_999);
    expect(calls.filter((call) => call.includes('take'))).toEqual([]);
    expect(calls).toHaveLength(11);
    await clock.advance(1);
    expect(calls.slice(-2)).toEqual(['22000 look', '22000 take 8']);
    expect(leader.status().leads).toBe(true);
  });

  test('waits as long whatever the counter is at its first look', async () => {
    shown = { counter: 1, free: false, holder: 'other' };
    await clock.advance(500_000);
    expect(leader.status()).toEqual({ leads: false, holder: '', sinceMs: null });
    await begin();
    await clock.advance(15_999);
    expect(calls.some((call) => call.includes('take'))).toBe(false);
    await clock.advance(1);
    expect(calls.at(-1)).toBe('516000 take 1');
  });

  test('tells nobody as the holder of a lead that is free', async () => {
    leads = false;
    await begin();
    expect(leader.status()).toEqual({ leads: false, holder: '', sinceMs: null });
    await clock.advance(beatMs);
    expect(calls).toEqual(['0 look', '0 take 7', '2000 look', '2000 take 7']);
  });

  test('forgets what it saw before a gap', async () => {
    shown = { counter: 1, free: false, holder: 'other' };
    await begin();
    await clock.advance(12_000);
    before = async () => Promise.reject(new Error('connection refused'));
    await clock.advance(beatMs);
    expect(problems.at(-1)).toBe('Redis does not answer: connection refused');
    before = async () => {};
    await clock.advance(beatMs); // at 16000 it begins to count anew
    expect(problems.at(-1)).toBeNull();
    await clock.advance(15_999);
    expect(calls.some((call) => call.includes('take'))).toBe(false);
    await clock.advance(1);
    expect(calls.at(-1)).toBe('32000 take 1');
  });

  test('takes the lead only once it is able to lead', async () => {
    await begin(false);
    await clock.advance(60_000);
    expect(calls).toEqual(['0 look']);
    able();
    await settled();
    expect(calls).toEqual(['0 look', '60000 take 7']);
    // The term counts from the take, not from the look a minute before.
    await clock.advance(1);
    expect(terms[0]?.signal.aborted).toBe(false);
  });

  test('that is stopped looks no more, and takes nothing', async () => {
    shown.free = false;
    await begin();
    stop.abort(new Error('shutting down'));
    await running;
    await clock.advance(60_000);
    expect(calls).toEqual(['0 look']);
  });
});

describe('a leader', () => {
  test('renews four times a TTL, and each beat is told', async () => {
    await begin();
    await clock.advance(10 * beatMs);
    expect(calls.slice(2)).toEqual([...Array(10).keys()].map((n) => `${(n + 1) * beatMs} renew`));
    expect([beats, terms.length, clock.pending]).toEqual([10, 1, 2]);
    expect(problems.every((problem) => problem === null)).toBe(true);
  });

  test('gives up one TTL after it sent the last renewal that succeeded, not after its answer', async () => {
    await begin();
    before = (call) =>
      call === 'renew' ? new Promise((resolve) => void clock.after(1_500, resolve)) : Promise.resolve();
    await clock.advance(2_000 + 1_500); // sent at 2000, answered at 3500
    before = () => new Promise(() => {});
    await clock.advance(6_499);
    expect(terms[0]?.signal.aborted).toBe(false);
    await clock.advance(1); // 10000
    expect(terms[0]?.signal.reason).toMatchObject({ message: 'Redis did not answer for a whole term' });
    running = Promise.resolve(); // that renewal never comes back
  });

  test('goes on through renewals that fail, and says what is wrong', async () => {
    await begin();
    before = async () => Promise.reject(new TypeError('no'));
    await clock.advance(2 * beatMs);
    expect(problems.slice(-2)).toEqual(Array(2).fill('Redis does not answer: no'));
    before = async () => {};
    await clock.advance(beatMs);
    expect([terms[0]?.signal.aborted, problems.at(-1), beats]).toEqual([false, null, 1]);
    await clock.advance(4 * beatMs);
    expect(terms[0]?.signal.aborted).toBe(false);
  });

  test('that is told of another ends its term with the name, gives the lead back, and challenges again', async () => {
    await begin();
    leads = false;
    shown = { counter: 9, free: false, holder: 'other' };
    await clock.advance(beatMs);
    expect(terms[0]?.signal.reason).toMatchObject({ message: 'other leads now' });
    expect(calls.slice(-3)).toEqual(['2000 renew', '2000 release', '2000 look']);
    expect([beats, leader.status()]).toEqual([0, { leads: false, holder: 'other', sinceMs: null }]);
  });

  test('that is told of nobody says so', async () => {
    await begin();
    leads = false;
    shown = { counter: 9, free: false, holder: '' };
    await clock.advance(beatMs);
    expect(terms[0]?.signal.reason).toMatchObject({ message: 'nobody leads now' });
  });

  test('whose commit was refused ends its term at once, and only that one', async () => {
    await begin();
    leader.lost('the commit script says that another leads');
    await settled();
    expect(terms.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    expect(terms[0]?.signal.reason).toMatchObject({ message: 'the commit script says that another leads' });
    expect(calls.slice(2)).toEqual(['0 release', '0 look', '0 take 7']);
    expect(terms[0]?.token).not.toBe(terms[1]?.token);
  });

  test('whose work fails gives the lead back, and pauses before it tries again', async () => {
    await begin();
    endTerm(new Error('this Redis is of another installation'));
    await settled();
    expect(terms[0]?.signal.reason).toMatchObject({ message: 'this Redis is of another installation' });
    expect(calls.slice(2)).toEqual(['0 release']);
    expect(leader.status()).toEqual({ leads: false, holder: '', sinceMs: null });
    leader.lost('too late'); // nothing is left to lose
    await clock.advance(beatMs);
    expect(calls.slice(3)).toEqual(['2000 look', '2000 take 7']);
  });

  test('that cannot give the lead back goes on all the same', async () => {
    await begin();
    before = async (call) => (call === 'release' ? Promise.reject(new Error('gone')) : undefined);
    leader.lost('test');
    await settled();
    expect(terms).toHaveLength(2);
  });

  test('that is stopped ends its term and gives the lead back', async () => {
    await begin();
    stop.abort(new Error('shutting down'));
    await running;
    expect(terms[0]?.signal.reason).toMatchObject({ message: 'shutting down' });
    expect(calls.slice(2)).toEqual(['0 release']);
  });
});
