import { beforeEach, describe, expect, test } from 'vitest';
import { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { Trust } from '../../controller/src/reconcile/trust.ts';
import type { LeaderStore, LeadReply } from '../../controller/src/store/leader-store.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

const [alice, bob] = [UserName.parse('alice'), UserName.parse('bob')];
const beatMs = 500;

/** As much of Redis as the question of trust needs; its clock goes with the process's unless `jump` moved it. */
class FakeRedis {
  marker = 'run-1';
  runId = 'run-1';
  leader = 'me';
  jump = 0;
  previousAt = 1_700_000_000_000;
  beforeMark = async (): Promise<void> => {};
  readonly clock: FakeClock;
  /** everything that was ever written as the mark */
  readonly marks: string[] = [];

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  now(): number {
    return 1_700_000_000_000 + this.clock.monotonicMs() + this.jump;
  }

  reply(): LeadReply {
    const previousAt = this.previousAt;
    this.previousAt = this.now();
    return {
      ...{ leads: true, counter: 1, previousAt, now: this.now(), holder: '', marker: this.marker },
      ...{ fingerprint: '', free: false },
    };
  }

  store(): LeaderStore {
    const notAsked = (): never => {
      throw new Error('the question of trust asks nothing of this');
    };
    return {
      ...{ look: notAsked, renew: notAsked, take: notAsked, release: notAsked, trusted: notAsked, report: notAsked },
      secretOfLeader: notAsked,
      runId: async () => this.runId,
      mark: async (token, runId) => {
        await this.beforeMark();
        if (token !== this.leader) return false;
        this.marker = runId ?? '';
        this.marks.push(this.marker);
        return true;
      },
    };
  }
}

let clock: FakeClock;
let redis: FakeRedis;
let trust: Trust;
let alarms: number;

function newTrust(token = 'me'): Trust {
  const log = createLogger({ name: 'trust-test', level: 'silent' });
  return new Trust({
    ...{ store: redis.store(), clock, log, token },
    onAmnesty() {
      alarms += 1;
    },
  });
}

async function beat(afterMs = beatMs): Promise<void> {
  await clock.advance(afterMs);
  await trust.beat(redis.reply());
}

function grant(user: UserName): void {
  trust.granted(user, trust.amnesty()?.id ?? '');
}

beforeEach(() => {
  clock = new FakeClock();
  redis = new FakeRedis(clock);
  redis.previousAt = redis.now() - 1_000;
  alarms = 0;
  trust = newTrust();
});

test('a Redis that is what it was is trusted, also after many heartbeats', async () => {
  await trust.begin(redis.reply());
  for (let n = 0; n < 200; n += 1) await beat();
  expect(trust.amnesty()).toBe(null);
  expect([alarms, redis.marks]).toEqual([0, []]);
});

describe('an amnesty follows', () => {
  const atTheBeginning: [string, string, () => void][] = [
    ['the mark is missing', 'no mark', () => (redis.marker = '')],
    ['nothing is there', 'new or was emptied', () => Object.assign(redis, { marker: '', previousAt: 0 })],
    ['the mark is another server’s', 'restarted', () => (redis.marker = 'run-0')],
    ['nobody led for more than a minute', 'no controller led', () => (redis.previousAt = redis.now() - 60_001)],
    ['the heartbeat was lost', 'new or was emptied', () => (redis.previousAt = 0)],
    [
      'the heartbeat does not go on, and took the mark with it',
      'clock jumped',
      () => Object.assign(redis, { marker: '', previousAt: redis.now() + 272_000 }),
    ],
    ['the heartbeat is of the future', 'clock jumped', () => (redis.previousAt = redis.now() + 3_600_000)],
  ];
  test.each(atTheBeginning)('at the beginning of a term when %s', async (_when, cause, happens) => {
    happens();
    await trust.begin(redis.reply());
    expect(trust.amnesty()?.cause).toContain(cause);
    expect([alarms, redis.marker]).toEqual([1, '']);
  });

  const betweenBeats: [string, string, () => void, number][] = [
    ['the run id changed', 'restarted', () => (redis.runId = 'run-2'), beatMs],
    ['the mark went missing', 'emptied', () => (redis.marker = ''), beatMs],
    ['the mark became another one', 'emptied', () => (redis.marker = 'run-7'), beatMs],
    ['Redis could not be read for 10 s', 'could not be read', () => {}, 10_000],
    ['Redis’ clock jumped ahead by 10 s', 'clock jumped', () => (redis.jump = 10_000), beatMs],
    ['Redis’ clock jumped back by 10 s', 'clock jumped', () => (redis.jump = -10_000), beatMs],
  ];
  test.each(betweenBeats)('between two heartbeats when %s', async (_when, cause, happens, afterMs) => {
    await trust.begin(redis.reply());
    await beat();
    happens();
    await beat(afterMs);
    expect(trust.amnesty()?.cause).toContain(cause);
    expect([alarms, redis.marker]).toEqual([1, '']);
  });

  test('not when the last heartbeat of another leader is just a minute old', async () => {
    redis.previousAt = redis.now() - 60_000;
    await trust.begin(redis.reply());
    expect(trust.amnesty()).toBe(null);
  });

  test('not from a heartbeat that comes before the first question of the term is answered', async () => {
    await trust.beat(redis.reply());
    expect([trust.amnesty(), alarms, redis.marks]).toEqual([null, 0, []]);
  });

  test('not when a heartbeat is a little late, or the clock is adjusted a little', async () => {
    await trust.begin(redis.reply());
    redis.jump = 9_000;
    await beat(9_900);
    redis.jump = 0;
    await beat(100);
    expect(trust.amnesty()).toBe(null);
  });

  test('anew when something happens during one', async () => {
    redis.marker = '';
    await trust.begin(redis.reply());
    const first = trust.amnesty();
    trust.listed([alice], first);
    grant(alice);
    redis.runId = 'run-2';
    await beat();
    expect(trust.amnesty()?.id).not.toBe(first?.id);
    await beat();
    expect(redis.marker).toBe('');
  });
});

describe('the mark', () => {
  beforeEach(async () => {
    redis.marker = 'run-0';
    await trust.begin(redis.reply());
  });

  test('is written only after every box that the list showed was granted', async () => {
    await beat();
    expect([redis.marker, trust.amnesty() === null]).toEqual(['', false]);
    trust.listed([alice, bob], trust.amnesty());
    await beat();
    grant(alice);
    await beat();
    expect(redis.marker).toBe('');
    grant(bob);
    await beat();
    expect([redis.marker, trust.amnesty()]).toEqual(['run-1', null]);
    await beat();
    expect(alarms).toBe(1);
  });

  test('follows from the first list only: a later one knows less of what ran', async () => {
    trust.listed([alice], trust.amnesty());
    trust.listed([], trust.amnesty());
    await beat();
    expect(redis.marker).toBe('');
  });

  test('follows also where a box was granted before the list came', async () => {
    grant(alice);
    trust.listed([alice], trust.amnesty());
    await beat();
    expect(redis.marker).toBe('');
    grant(alice);
    await beat();
    expect(redis.marker).toBe('run-1');
  });

  test('is written once, however many heartbeats come meanwhile, and again after it failed', async () => {
    const answers: ((error: Error | null) => void)[] = [];
    redis.beforeMark = () =>
      new Promise((resolve, reject) => void answers.push((error) => (error === null ? resolve() : reject(error))));
    trust.listed([], trust.amnesty());
    const [first, second] = [beat(), beat()];
    await settled();
    await settled();
    expect(answers).toHaveLength(1);
    answers[0]?.(new Error('Redis is away'));
    await Promise.allSettled([first, second]);
    expect([redis.marker, trust.amnesty() === null]).toEqual(['', false]);
    redis.beforeMark = async () => {};
    await beat();
    expect([redis.marker, trust.amnesty()]).toEqual(['run-1', null]);
  });

  test('does not end an amnesty that began while it was written', async () => {
    let answer = (): void => {};
    redis.beforeMark = () => new Promise((resolve) => (answer = resolve));
    trust.listed([], trust.amnesty());
    const writing = beat();
    await settled();
    await settled();
    redis.beforeMark = async () => {};
    redis.runId = 'run-2';
    await beat();
    answer();
    await writing;
    expect(trust.amnesty()?.cause).toContain('restarted');
  });

  test('is written when the list shows that nothing runs', async () => {
    trust.listed([], trust.amnesty());
    await beat();
    expect(redis.marker).toBe('run-1');
  });

  test('does not follow from a list that was begun before the distrust: a box may have been started meanwhile', async () => {
    const before = trust.amnesty();
    trust.listed([], null);
    await beat();
    expect(redis.marker).toBe('');
    redis.runId = 'run-2';
    await beat();
    trust.listed([], before);
    await beat();
    expect(redis.marker).toBe('');
    trust.listed([], trust.amnesty());
    await beat();
    expect(redis.marker).toBe('run-2');
  });

  test('does not follow from a grant of an older amnesty', async () => {
    const old = trust.amnesty()?.id ?? '';
    redis.runId = 'run-2';
    await beat();
    trust.listed([alice], trust.amnesty());
    trust.granted(alice, old);
    trust.granted(alice, '');
    await beat();
    expect(redis.marker).toBe('');
    grant(alice);
    await beat();
    expect(redis.marker).toBe('run-2');
  });

  test('stays missing when the leader dies before, and the next leader begins again', async () => {
    trust.listed([alice], trust.amnesty());
    await beat();
    redis.leader = 'next';
    trust = newTrust('next');
    await trust.begin(redis.reply());
    expect(trust.amnesty()?.cause).toContain('no mark of trust');
    expect(redis.marker).toBe('');
  });

  test('is not written by one that leads no more', async () => {
    trust.listed([], trust.amnesty());
    redis.leader = 'next';
    await beat();
    expect(redis.marks).toEqual(['']);
    expect(trust.amnesty()).not.toBe(null);
  });
});

test('it is told for how long Redis has been trusted without a break', async () => {
  expect(trust.trustedForMs()).toBe(0);
  await trust.begin(redis.reply());
  for (let n = 0; n < 10; n += 1) await beat();
  expect(trust.trustedForMs()).toBe(10 * beatMs);
  redis.runId = 'run-2';
  await beat();
  await beat();
  expect(trust.trustedForMs()).toBe(0);
  trust.listed([], trust.amnesty());
  await beat();
  await beat();
  expect(trust.trustedForMs()).toBe(beatMs);
});

test('a term that begins with distrust trusts nothing yet', async () => {
  redis.marker = '';
  await trust.begin(redis.reply());
  await clock.advance(beatMs);
  expect(trust.trustedForMs()).toBe(0);
});

test('a mark that could not be taken away is taken away later, and not written before', async () => {
  await trust.begin(redis.reply());
  const store = redis.store();
  const log = createLogger({ name: 'trust-test', level: 'silent' });
  let isAway = true;
  trust = new Trust({
    ...{ clock, log, token: 'me', onAmnesty: () => {} },
    store: {
      ...store,
      mark: async (token, runId) => {
        if (isAway) throw new Error('Redis is away');
        return await store.mark(token, runId);
      },
    },
  });
  await trust.begin(redis.reply());
  redis.jump = 20_000;
  await expect(beat()).rejects.toThrow('away');
  trust.listed([], trust.amnesty());
  expect(redis.marker).toBe('run-1');
  isAway = false;
  await beat();
  expect(redis.marks).toEqual(['', 'run-1']);
  expect(trust.amnesty()).toBe(null);
});
