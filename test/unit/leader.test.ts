import { randomInt } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { InstallationId, type Keys, keysOf, UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { Leader, type Term } from '../../controller/src/leader.ts';
import { createLeaderStore, type LeaderStore } from '../../controller/src/store/leader-store.ts';
import { createStatusStore } from '../../controller/src/store/status-store.ts';
import { emptyBody } from '../contract/box-store-world.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const log = createLogger({ name: 'leader-test', level: 'silent' });
/** Longer than any test: Redis' own expiry must not decide anything here. */
const ttlMs = 60_000;
const beatMs = ttlMs / 4;

let server: TestRedis;
let redis: RedisPort;
let keys: Keys;
let installations = 0;
const running: Contender[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, log);
});
afterAll(async () => {
  await redis.close();
  await server[Symbol.asyncDispose]();
});
beforeEach(() => {
  installations += 1;
  keys = keysOf(InstallationId.parse(`leader-${installations}`));
});
afterEach(async () => {
  for (const contender of running.splice(0)) {
    await contender.stop();
    expect(contender.clock.pending, 'timers that are left').toBe(0);
    expect(contender.mostTerms, 'terms at once in one process').toBeLessThanOrEqual(1);
  }
});

interface Contender {
  readonly clock: FakeClock;
  readonly leader: Leader;
  /** every term so far */
  readonly terms: Term[];
  /** set: Redis does not answer this process; `hangs`: not even with an error */
  fault: 'none' | 'fails' | 'hangs';
  mostTerms: number;
  /** Lets its own time go by, and its commands be answered. */
  passes(ms: number): Promise<void>;
  leads(): boolean;
  stop(): Promise<void>;
}

/** A controller's leader with a clock of its own, on the real scripts. */
function contend(options: { termEndsLate?: Promise<void>; termFails?: boolean } = {}): Contender {
  const clock = new FakeClock();
  const real = createLeaderStore(redis, keys);
  const through = async <Reply>(call: () => Promise<Reply>): Promise<Reply> => {
    if (contender.fault === 'fails') throw new Error('Redis is away');
    if (contender.fault === 'hangs') await new Promise((_, reject) => hanging.push(reject));
    underWay += 1;
    try {
      return await call();
    } finally {
      underWay -= 1;
    }
  };
  /** What was sent is answered, and what follows from the answer is sent and answered too. */
  const answered = async (): Promise<void> => {
    await settled();
    while (underWay > 0) await settled();
  };
  let underWay = 0;
  const hanging: ((error: Error) => void)[] = [];
  const store: LeaderStore = {
    look: (candidate) => through(() => real.look(candidate)),
    renew: (candidate, loop) => through(() => real.renew(candidate, loop)),
    take: (candidate, seen) => through(() => real.take(candidate, seen)),
    release: (candidate) => through(() => real.release(candidate)),
    mark: (token, runId) => real.mark(token, runId),
    runId: () => real.runId(),
    trusted: () => real.trusted(),
    secretOfLeader: () => real.secretOfLeader(),
    report: () => real.report(),
  };
  let terms = 0;
  const leader = new Leader({
    able: Promise.resolve(),
    ...{ store, clock, log, ttlMs, holder: `p${randomInt(1_000)}`, fingerprint: '' },
    async onTerm(term) {
      terms += 1;
      contender.mostTerms = Math.max(contender.mostTerms, terms);
      contender.terms.push(term);
      if (options.termFails) {
        terms -= 1;
        throw new Error('this Redis is of another installation');
      }
      if (!term.signal.aborted) {
        await new Promise((resolve) => term.signal.addEventListener('abort', resolve, { once: true }));
      }
      await options.termEndsLate;
      terms -= 1;
    },
    onBeat: () => undefined,
    onRedis: () => {},
  });
  const stopping = new AbortController();
  const contender: Contender = {
    ...{ clock, leader, terms: [], fault: 'none', mostTerms: 0 },
    async passes(ms) {
      await answered();
      for (let left = ms; left > 0; left -= beatMs / 2) {
        await clock.advance(Math.min(left, beatMs / 2));
        await answered();
      }
    },
    leads: () => leader.status().leads,
    async stop() {
      stopping.abort();
      contender.fault = 'none';
      for (const reject of hanging.splice(0)) reject(new Error('the test ends'));
      await run;
    },
  };
  const run = leader.run(stopping.signal);
  running.push(contender);
  return contender;
}

describe('the lead', () => {
  test('of an installation that nobody ever led is taken at once', async () => {
    const a = contend();
    await a.passes(0);
    expect(a.leads()).toBe(true);
    expect(a.terms[0]?.first).toMatchObject({ leads: true, previousAt: 0, marker: '' });
  });

  test('is given back by one whose term fails at once, and taken again after a pause', async () => {
    const a = contend({ termFails: true });
    await a.passes(0);
    expect([a.leads(), a.terms.length]).toEqual([false, 1]);
    await a.passes(2 * beatMs);
    expect(a.terms).toHaveLength(3);
  });

  test('goes to exactly one of two that race for it', async () => {
    for (let round = 0; round < 10; round += 1) {
      keys = keysOf(InstallationId.parse(`race-${round}`));
      const both = [contend(), contend()];
      await Promise.all(both.map((each) => each.passes(0)));
      expect(both.filter((each) => each.leads())).toHaveLength(1);
      for (const each of both) await each.stop();
    }
  });

  test('goes to exactly one of twenty that saw the same counter stand still', async () => {
    const store = createLeaderStore(redis, keys);
    const candidate = (token: string) => ({ token, ttlMs, holder: token, fingerprint: '' });
    const { counter } = await store.take(candidate('dead'), 0);
    const replies = await Promise.all(Array.from({ length: 20 }, (_, n) => store.take(candidate(`c${n}`), counter)));
    expect(replies.filter(({ leads }) => leads)).toHaveLength(1);
  });

  test('is taken over only after the counter stood still for two TTLs of the challenger’s own time', async () => {
    const a = contend();
    await a.passes(0);
    const b = contend(); // from here on, time passes for b alone: a is a process that was stopped
    await b.passes(2 * ttlMs - beatMs);
    expect(b.leads()).toBe(false);
    await b.passes(2 * beatMs);
    expect(b.leads()).toBe(true);
  });

  test('is not taken over while it is renewed, however long, nor because its key expired', async () => {
    const a = contend();
    await a.passes(0);
    const b = contend();
    for (let n = 0; n < 40; n += 1) {
      await a.passes(beatMs);
      if (n % 5 === 0) await redisCommand('DEL', keys.leader);
      await b.passes(beatMs);
    }
    expect([a.leads(), b.leads(), a.terms.length]).toEqual([true, false, 1]);
  });

  test('is not taken over by one that could not look for a while: what it saw before proves nothing', async () => {
    const a = contend();
    await a.passes(0);
    const b = contend();
    await b.passes(ttlMs);
    b.fault = 'fails';
    await b.passes(3 * ttlMs);
    b.fault = 'none';
    await b.passes(ttlMs);
    expect(b.leads()).toBe(false);
    await b.passes(2 * ttlMs);
    expect(b.leads()).toBe(true);
  });

  test('that was given back is taken at once', async () => {
    const a = contend();
    await a.passes(0);
    const b = contend();
    await b.passes(beatMs);
    await a.stop();
    await b.passes(beatMs);
    expect(b.leads()).toBe(true);
  });

  test('whose key expired is given back too', async () => {
    const a = contend();
    await a.passes(0);
    await redisCommand('DEL', keys.leader);
    await a.stop();
    const b = contend();
    await b.passes(0);
    expect(b.leads()).toBe(true);
  });

  test('whose key expired is reclaimed by its own holder only if nobody took it', async () => {
    const store = createLeaderStore(redis, keys);
    const first = { token: 'first', ttlMs, holder: 'a', fingerprint: '' };
    const second = { token: 'second', ttlMs, holder: 'b', fingerprint: '' };
    const { counter } = await store.take(first, 0);
    await redisCommand('DEL', keys.leader);
    expect(await store.renew(second)).toMatchObject({ leads: false });
    expect(await store.renew(first)).toMatchObject({ leads: true, counter: counter + 1 });
    await redisCommand('DEL', keys.leader);
    expect(await store.take(second, counter)).toMatchObject({ leads: false, free: false });
    expect(await store.take(second, counter + 1)).toMatchObject({ leads: true });
    expect(await store.renew(first)).toMatchObject({ leads: false });
    expect(await store.release(first)).toMatchObject({ leads: false });
    expect(await store.renew(second)).toMatchObject({ leads: true });
  });

  test('is free again after Redis was emptied, and the one that had it ends its term', async () => {
    const a = contend();
    await a.passes(0);
    const [term] = a.terms;
    await redisCommand('DEL', keys.leader, keys.heartbeat);
    await a.passes(beatMs);
    expect(term?.signal.aborted).toBe(true);
    await a.passes(beatMs);
    expect(a.terms).toHaveLength(2);
  });
});

describe('a term', () => {
  test('ends when the commit script refused its token, and the next has another', async () => {
    const a = contend();
    await a.passes(0);
    a.leader.lost('not-leader');
    await a.passes(beatMs);
    expect(a.terms[0]?.signal.aborted).toBe(true);
    expect(a.terms).toHaveLength(2);
    expect(a.terms[1]?.token).not.toBe(a.terms[0]?.token);
  });

  test('ends when another leads', async () => {
    const a = contend();
    await a.passes(0);
    const store = createLeaderStore(redis, keys);
    const other = { token: 'other', ttlMs, holder: 'other', fingerprint: '' };
    const { counter } = await store.look(other);
    expect(await store.take(other, counter)).toMatchObject({ leads: true });
    await a.passes(beatMs);
    expect(a.terms[0]?.signal.aborted).toBe(true);
    expect(a.leader.status()).toMatchObject({ leads: false });
  });

  test.each(['fails', 'hangs'] as const)('lasts one TTL from the last renewal when the next one %s', async (fault) => {
    const a = contend();
    await a.passes(0);
    await a.passes(beatMs);
    a.fault = fault;
    await a.passes(ttlMs - beatMs);
    expect(a.terms[0]?.signal.aborted).toBe(false);
    await a.passes(beatMs);
    expect(a.terms[0]?.signal.aborted).toBe(true);
  });

  test('goes on through a gap that is shorter than one TTL', async () => {
    const a = contend();
    await a.passes(0);
    a.fault = 'fails';
    await a.passes(ttlMs / 2);
    a.fault = 'none';
    await a.passes(2 * ttlMs);
    expect([a.leads(), a.terms.length]).toEqual([true, 1]);
  });

  test('begins after the last one has ended, however long that takes', async () => {
    let end = (): void => {};
    const a = contend({ termEndsLate: new Promise((resolve) => (end = resolve)) });
    await a.passes(0);
    a.leader.lost('test');
    await a.passes(4 * ttlMs);
    expect(a.terms).toHaveLength(1);
    end();
    await a.passes(beatMs);
    expect(a.terms).toHaveLength(2);
  });

  test('of a process that was paused commits nothing after another took over', async () => {
    const a = contend();
    await a.passes(0);
    const b = contend();
    await b.passes(2 * ttlMs + beatMs); // a stands still
    expect([a.leads(), b.leads()]).toEqual([true, true]); // a still believes in its term
    const statuses = createStatusStore({ redis, keys, policies: { '*': [1, 1] } });
    const commit = {
      ...{ user: UserName.parse('alice'), version: 0, phase: 'ready' as const, containerId: '' },
      ...{ containerGeneration: 0, keepUntil: 0, keepCause: '', body: emptyBody, intent: { kind: 'none' as const } },
      ...{ events: [], mode: 'run' as const },
    };
    expect(await statuses.commit(a.terms[0]?.token ?? '', commit)).toMatchObject({ refused: 'not-leader' });
    expect(await statuses.commit(b.terms[0]?.token ?? '', commit)).toEqual({ ok: true });
    await a.passes(beatMs); // it wakes up, and learns of it
    expect([a.leads(), a.terms[0]?.signal.aborted]).toEqual([false, true]);
  });
});

async function redisCommand(name: string, ...words: string[]): Promise<void> {
  const cli = new Redis(server.url);
  await cli.call(name, ...words);
  cli.disconnect();
}
