import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { BoxList, BoxView, EventList, LeaseReply, ReleaseReply } from '#shared/api-schemas.ts';
import { PlanList, PlanView, ReconcilerView, CapacityView, StatsList, WhoAmI } from '#shared/operator-schemas.ts';
import { until } from '../api/api-world.ts';
import { type CliRun, runCli, startCli } from './cli-run.ts';
import { type FakeApi, startFakeApi } from './fake-api.ts';

const now = 1_700_000_000_000;
const box: z.input<typeof BoxView> = {
  user: 'alice',
  now,
  phase: 'ready',
  step: 'active',
  message: 'in use',
  ready: true,
  class: 'default',
  containerId: 'c'.repeat(64),
  readyAt: now - 60_000,
  until: now + 1_800_000,
  why: ['held by job lease j1 of agent-7'],
  progress: null,
  conditions: [],
  leases: [{ id: 'j1', kind: 'job', holder: 'agent-7', takenAt: now - 5_000, expiresAt: now + 55_000, ttlMs: 60_000 }],
  endedLeases: [],
  sessions: [
    {
      id: 's1',
      user: 'alice',
      gateway: 'gw1',
      containerId: 'c',
      execId: 'e',
      mode: 'rw',
      startedAt: now - 9_000,
    },
  ],
  desired: null,
  lastReap: { cause: 'idle', at: now - 3_600_000, message: 'nobody needed it for 30 min' },
  home: null,
};
const plan: z.input<typeof PlanView> = {
  user: 'alice',
  now,
  phase: 'ready',
  step: 'active',
  next: { phase: 'ready', step: 'active' },
  command: 'none',
  does: '',
  rule: 'a lease is live',
  message: 'in use',
  nextLookMs: 55_000,
};
const creation: z.input<typeof PlanView> = {
  ...plan,
  user: 'bob',
  phase: 'absent',
  step: null,
  next: { phase: 'provisioning', step: 'creating' },
  command: 'create',
  does: 'create spoon-box-bob from debian:12',
  rule: 'somebody asks for a box',
};
const reconciler: z.input<typeof ReconcilerView> = {
  now,
  mode: { mode: 'run', reason: '', by: '', since: 0 },
  leader: { holder: 'host:1', isThis: true, lastBeatAt: now },
  loop: {
    waiting: 0,
    processing: 1,
    scheduled: 3,
    longestWaitMs: 0,
    passes: { count: 12, failed: 0, p50Ms: 1.2, p99Ms: 8.1 },
    lastResyncAgoMs: 20_000,
    lastResyncTookMs: 14,
    amnesty: null,
    pacer: { mostPerMinute: 5, lastMinute: 1, waitMs: 0 },
  },
};

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
  api.answer('GET /v1/boxes', BoxList, { items: [box] });
  api.answer('GET /v1/boxes/alice', BoxView, box);
});
afterEach(() => api[Symbol.asyncDispose]());
const run = (...args: string[]): Promise<CliRun> => runCli(args, { server: api.url, token: 'token' });

describe('get', () => {
  test('lists leases and sessions of all boxes', async () => {
    expect((await run('get', 'leases')).out).toMatch(/^alice +j1 +job +agent-7 +5 s ago +in 55 s$/m);
    expect((await run('get', 'sessions')).out).toMatch(/^alice +s1 +rw +9 s ago +yes$/m);
  });

  test('speaks yaml and names, and leaves the header out when asked to', async () => {
    expect(parse((await run('get', 'box', 'alice', '-o', 'yaml')).out)).toMatchObject({
      user: 'alice',
      phase: 'ready',
    });
    expect(parse((await run('get', 'boxes', '-o', 'yaml')).out)).toMatchObject({ items: [{ user: 'alice' }] });
    expect((await run('get', 'leases', '-o', 'name')).out).toBe('lease/alice/j1\n');
    expect((await run('get', 'bx', '--no-headers')).out).toMatch(/^alice +ready/);
  });

  test('hands a selector to the server, which knows what it means', async () => {
    await run('get', 'boxes', '-l', 'phase=ready,class!=small');
    const query = new URL(api.asked.at(-1)?.path ?? '', api.url).searchParams;
    expect(query.get('selector')).toBe('phase=ready,class!=small');
  });

  test('asks for the rest of a long list', async () => {
    api.answer('GET /v1/boxes', BoxList, { items: [box], continue: 'bob' });
    const asking = run('get', 'boxes');
    await until(() => api.asked.length > 0, 'the first page');
    api.answer('GET /v1/boxes', BoxList, { items: [{ ...box, user: 'bob' }] });
    expect((await asking).out).toMatch(/^alice[\s\S]*^bob/m);
    expect(api.asked.at(-1)?.path).toContain('continue=bob');
  });

  test.each([
    [['get'], 'say what to get: boxes, leases'],
    [['get', 'pods'], 'pods is nothing to get'],
    [['get', 'classes', 'alice'], "classes are nobody's"],
    [['get', 'classes', '-w'], '--watch is for boxes'],
    [['get', 'leases', '-w', '-l', 'phase=ready'], '--watch is for all or one'],
    [['get', 'events', '-l', 'phase=ready'], '--selector chooses among'],
    [['gte', 'boxes'], 'did you mean get?'],
  ])('%j is refused with a way out', async (args, words) => {
    const { code, err } = await run(...args);
    expect([code, err]).toEqual([2, expect.stringContaining(words)]);
  });
});

test('why answers on one screen: the state, who holds it, until when, what comes next', async () => {
  api.answer('GET /v1/boxes/alice/plan', PlanView, plan);
  const { code, out } = await run('why', 'alice');
  expect(code).toBe(0);
  expect(out.split('\n').length).toBeLessThan(25);
  for (const part of [
    'alice is ready (active): in use',
    'kept until ',
    'held by job lease j1 of agent-7',
    'ends in 55 s unless renewed',
    'nothing is to be done now, because: a lease is live',
    'it looks again in 55 s',
    'nobody needed it for 30 min',
  ]) {
    expect(out).toContain(part);
  }
});

test('plan lists what would be done, and sums up the boxes to which nothing would', async () => {
  api.answer('GET /v1/plan', PlanList, { items: [plan, creation] });
  const { out, err } = await run('plan');
  expect(out).toMatch(/^bob +absent +provisioning\/creating +create spoon-box-bob from debian:12 +somebody asks/m);
  expect(out).not.toContain('alice');
  expect(err).toContain('to 1 box nothing would be done now');
  expect((await run('plan', '--all')).out).toContain('alice');
});

describe('the home', () => {
  const told = {
    usedBytes: 7 * 2 ** 30,
    isWhole: true,
    measuredAt: now - 840_000,
    problem: '',
    quotaBytes: 6 * 2 ** 30,
  };
  const over = { type: 'HomeUsage', status: 'False', reason: 'HomeOverQuota', message: 'over', since: now } as const;

  test.each([
    [told, '7.0 GiB of 6.0 GiB, measured 14 min ago'],
    [{ ...told, isWhole: false, quotaBytes: null }, 'at least 7.0 GiB, measured 14 min ago'],
    [{ ...told, problem: 'too slow' }, '7.0 GiB of 6.0 GiB, measured 14 min ago; it could not be measured: too slow'],
    [{ ...told, usedBytes: null, measuredAt: null, problem: 'no du' }, 'it could not be measured: no du'],
    [null, '-'],
  ])('is described with its quota, its age and what went wrong', async (home, line) => {
    api.answer('GET /v1/boxes/alice', BoxView, { ...box, home });
    api.answer('GET /v1/boxes/alice/events', EventList, { items: [] });
    expect((await run('describe', 'box', 'alice')).out).toMatch(new RegExp(`^Home: +${line}$`, 'm'));
  });

  test('that is over its quota is explained, and one that nobody measured is not', async () => {
    api.answer('GET /v1/boxes/alice/events', EventList, { items: [] });
    const describing = async (conditions: z.input<typeof BoxView>['conditions']) => {
      api.answer('GET /v1/boxes/alice', BoxView, { ...box, conditions });
      return (await run('describe', 'box', 'alice')).out;
    };
    expect(await describing([over])).toMatch(
      /^ {2}HomeUsage, HomeOverQuota: +The home takes up more than its class allows/m,
    );
    expect(await describing([{ ...over, status: 'Unknown', reason: 'HomeNotMeasured' }])).not.toContain(
      'What that means',
    );
  });
});

test('top shows shares of the limits, and asks twice for processors', async () => {
  const stats = {
    user: 'alice',
    cpus: null,
    cpusLimit: 2,
    memoryBytes: 2 ** 30,
    memoryLimitBytes: 4 * 2 ** 30,
    pids: 7,
    home: { usedBytes: 3 * 2 ** 30, isWhole: true, measuredAt: now, problem: '', quotaBytes: 6 * 2 ** 30 },
  };
  api.answer('GET /v1/stats', StatsList, { now, items: [stats] });
  const asking = run('top');
  await until(() => api.asked.length > 0, 'the first look');
  api.answer('GET /v1/stats', StatsList, { now, items: [{ ...stats, cpus: 1 }] });
  expect((await asking).out).toMatch(
    /^alice +1\.00 +\[##### {5}\] +50 % +1\.0 GiB +\[### {7}\] +25 % +7 +3\.0 GiB +\[##### {5}\] +50 % +\d+ d ago$/m,
  );
});

test('capacity shows the limits, the line and who has a place', async () => {
  const gib = 2 ** 30;
  api.answer('GET /v1/capacity', CapacityView, {
    now,
    limits: { boxes: 2, memoryBytes: 8 * gib },
    taken: { boxes: 2, memoryBytes: 5 * gib },
    waiting: [
      {
        ...{ user: 'carol', position: 1, since: now - 60_000, priority: 'high', memoryBytes: 4 * gib },
        for: ['terminal of carol'],
      },
    ],
    boxes: [
      {
        ...{ user: 'alice', state: 'held', memoryBytes: gib, heldBy: ['job of agent-7'] },
        ...{ idleSince: null, givesWayAt: null },
      },
      {
        ...{ user: 'bob', state: 'idle', memoryBytes: 4 * gib, heldBy: [] },
        ...{ idleSince: now - 30_000, givesWayAt: now + 30_000 },
      },
    ],
  });
  const { out, code } = await run('capacity');
  expect(code).toBe(0);
  expect(out).toMatch(/^Boxes: +2 of 2$/m);
  expect(out).toMatch(/^Memory: +5\.0 GiB of 8\.0 GiB$/m);
  expect(out).toMatch(/^1 +carol +1 min ago +high +4\.0 GiB +terminal of carol$/m);
  expect(out).toMatch(/^bob +idle +4\.0 GiB +30 s ago +in 30 s +-$/m);
  expect(JSON.parse((await run('capacity', '-o', 'json')).out).waiting[0].user).toBe('carol');
});

describe('the reconciler', () => {
  test('status tells mode, leader and loop', async () => {
    api.answer('GET /v1/reconciler', ReconcilerView, reconciler);
    const { out } = await run('status');
    expect(out).toMatch(/^Mode: +run$/m);
    expect(out).toMatch(/^Leader: +host:1, last beat now$/m);
    expect(out).toMatch(/^Passes: +12 in the last minute, 0 failed; p50 1\.2 ms, p99 8\.1 ms$/m);
  });

  test('drain, pause and resume say what they do, and send it', async () => {
    api.answer('PUT /v1/reconciler/mode', ReconcilerView, reconciler);
    expect((await run('drain', '--reason', 'reboot')).out).toContain('no new boxes are made');
    expect((await run('drain', '--pause')).out).toContain('changes nothing');
    expect((await run('resume')).code).toBe(0);
    expect(api.asked.map(({ body }) => body)).toEqual([
      { mode: 'drain', reason: 'reboot' },
      { mode: 'pause' },
      { mode: 'run' },
    ]);
  });
});

test('a person is asked before what ends running work; no means that nothing is sent', async () => {
  const asking = startCli(['reap', 'alice'], { server: api.url, token: 'token', tty: true });
  await until(() => asking.out().includes('Go on? [y/N]'), 'the question');
  asking.child.stdin?.write('n\n');
  expect((await asking.ended).code).toBe(1);
  expect(api.asked).toEqual([]);
});

test.each([
  ['Ctrl-C', '\u0003'],
  ['Ctrl-D', '\u0004'],
])('%s at a question ends the command, and nothing is sent', async (_key, byte) => {
  const asking = startCli(['reap', 'alice', 'box/bob'], { server: api.url, token: 'token', tty: true });
  await until(() => asking.out().includes('the boxes of alice and bob'), 'the question');
  await until(() => asking.out().includes('Go on? [y/N]'), 'the question');
  asking.child.stdin?.write(byte);
  const { code, out } = await asking.ended;
  expect([code, out]).toEqual([130, expect.stringContaining('interrupted: nothing is done')]);
  expect(api.asked).toEqual([]);
});

test('names are taken as get tells them, and several at once', async () => {
  for (const user of ['alice', 'bob']) {
    api.answer(`POST /v1/boxes/${user}/actions`, BoxView, { ...box, user });
    api.answer(`DELETE /v1/boxes/${user}`, BoxView, { ...box, user });
    api.answer(`DELETE /v1/boxes/${user}/leases/j1`, ReleaseReply, { released: true });
  }
  for (const command of ['reap', 'recreate', 'delete']) {
    const { code, out } = await run(command, 'box/alice', 'bob');
    expect([code, out.trim().split('\n')]).toEqual([
      0,
      [expect.stringContaining('the box of alice is being'), expect.stringContaining('the box of bob is being')],
    ]);
  }
  await run('release', 'lease/alice/j1', 'lease/bob/j1');
  expect(api.asked.map(({ method, path }) => `${method} ${path}`).slice(-4)).toEqual([
    'DELETE /v1/boxes/alice',
    'DELETE /v1/boxes/bob',
    'DELETE /v1/boxes/alice/leases/j1',
    'DELETE /v1/boxes/bob/leases/j1',
  ]);
});

test('what a server says in a refusal moves no cursor and starts no line', async () => {
  const detail = 'no\u001b[2J\u001b]0;title\u0007 such\nbox';
  const problem = { type: 'x', code: 'box-unknown', title: 'x', status: 404, detail } as const;
  api.stream('GET /v1/boxes', [`event: end\ndata: ${JSON.stringify(problem)}\n\n`]);
  const { code, err } = await run('get', 'boxes', '-w');
  expect([code, err]).toEqual([1, 'spoonbox: no such box\n']);
});

test('pin takes a lease of its own kind, and says how it ends', async () => {
  api.answer('PUT /v1/boxes/alice/leases/pin', LeaseReply, {
    lease: { id: 'pin', user: 'alice', expiresAt: now + 86_400_000 },
    now,
    ready: true,
    waitsFor: null,
    box,
  });
  const { out } = await run('pin', 'alice', '--for', '1d', '--reason', 'demo');
  expect(out).toMatch(/is kept until .* \(in 1 d\); `spoonbox release alice pin` ends that/);
  expect(api.asked[0]?.body).toEqual({ kind: 'pin', holder: 'demo', ttlMs: 86_400_000 });
});

test('events go on where a broken stream was, each told once', async () => {
  const event = { user: 'alice', at: now, reason: 'LeaseTaken', message: 'm', by: 'agent' };
  const told = (id: string): string =>
    `event: happened\nid: ${id}\ndata: ${JSON.stringify({ ...event, id, message: `event ${id}` })}\n\n`;
  api.answer('GET /v1/events', EventList, { items: [{ ...event, id: '5-0', message: 'event 5-0' }] });
  api.stream('GET /v1/events', [told('6-0')], [told('7-0')]);
  const following = startCli(['events', '-f'], { server: api.url, token: 'token' });
  await until(() => following.out().includes('event 7-0'), 'what came after the break');
  following.child.kill('SIGINT');
  const { out } = await following.ended;
  expect(out.match(/event \d-0/g)).toEqual(['event 5-0', 'event 6-0', 'event 7-0']);
  expect(api.asked.map(({ lastEventId }) => lastEventId)).toEqual([
    null,
    '5-0',
    '6-0',
    ...api.asked.slice(3).map(() => '7-0'),
  ]);
});

test('events go on over a failure before which nothing happened, and say where some are missing', async () => {
  api.answer('GET /v1/events', EventList, { items: [] });
  const happened = { user: 'alice', at: now, reason: 'LeaseTaken', message: 'after it', by: 'agent', id: '9-0' };
  const away = { type: 'x', code: 'redis-unavailable', title: 'x', status: 503, detail: 'Redis is away' };
  api.stream(
    'GET /v1/events',
    [`event: end\ndata: ${JSON.stringify(away)}\n\n`],
    ['event: missed\nid: 8-0\ndata: {}\n\n', `event: happened\nid: 9-0\ndata: ${JSON.stringify(happened)}\n\n`],
  );
  const following = startCli(['events', '-f'], { server: api.url, token: 'token' });
  await until(() => following.out().includes('after it'), 'what happened after it');
  following.child.kill('SIGINT');
  expect((await following.ended).err).toContain('are not kept any more');
});

describe('a watch', () => {
  const told = (event: string, id: string, data: unknown): string =>
    `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
  const watched = async (kind: string, lastWords: string): Promise<string[]> => {
    const watching = startCli(['get', kind, '-w'], { server: api.url, token: 'token' });
    await until(() => watching.out().includes(lastWords), lastWords);
    watching.child.kill('SIGINT');
    const { out } = await watching.ended;
    return out
      .trim()
      .split('\n')
      .map((line) =>
        line
          .split(/ {3,}/)
          .filter((_cell, at) => at < 2 || at === 5)
          .join(' '),
      );
  };

  test('begins with each box as it is when all are told, once, and not with those that have gone by then', async () => {
    api.stream('GET /v1/boxes', [
      told('full', '1', {}),
      told('box', '2', { ...box, message: 'stale' }),
      told('box', '3', { ...box, user: 'bob', message: 'gone' }),
      told('removed', '4', { user: 'bob' }),
      told('box', '5', { ...box, message: 'fresh' }),
      told('synced', '5', {}),
      told('box', '6', { ...box, message: 'later' }),
    ]);
    expect(await watched('boxes', 'later')).toEqual(['USER PHASE MESSAGE', 'alice ready fresh', 'alice ready later']);
  });

  test('of leases tells those that are taken, and those that end', async () => {
    const more = { ...box.leases?.[0], id: 'j2' };
    api.stream('GET /v1/boxes', [
      told('box', '1', box),
      told('synced', '1', {}),
      told('box', '2', { ...box, leases: [...(box.leases ?? []), more] }),
      told('box', '3', { ...box, leases: [more] }),
    ]);
    expect(await watched('leases', 'ended')).toEqual([
      'USER LEASE EXPIRES',
      'alice j1 in 55 s',
      'alice j2 in 55 s',
      'alice j1 ended',
    ]);
  });
});

describe('doctor', () => {
  test('tells each failure with its mend, and exits with 1', async () => {
    api.answer('GET /v1/session', WhoAmI, {
      role: 'viewer',
      name: 'grafana',
      by: 'token',
      expiresAt: null,
      terminalUrl: 'ws://127.0.0.1:1/v1/terminal',
    });
    api.answer('GET /v1/reconciler', ReconcilerView, {
      ...reconciler,
      mode: { mode: 'drain', reason: 'reboot', by: 'ops', since: now - 60_000 },
      leader: { holder: '', isThis: false, lastBeatAt: null },
    });
    api.answer('GET /v1/boxes', BoxList, { items: [{ ...box, phase: 'failed', message: 'no such image' }] });
    const { code, out } = await run('doctor');
    expect(code).toBe(1);
    for (const line of [
      /^failure {2}Redis and engine: /m,
      /^warning {2}token: grafana, role viewer$/m,
      /^failure {2}leader: no controller leads$/m,
      /^warning {2}mode: drain, by ops 1 min ago: reboot$/m,
      /^failure {2}box alice: no such image$/m,
      /^failure {2}gateway: .* cannot be reached/m,
      /→ `spoonbox resume` ends it/,
    ]) {
      expect(out).toMatch(line);
    }
  });

  test('a check that cannot be made hides no other, and what the server warns of is told', async () => {
    const readiness = z.object({ ok: z.boolean(), warnings: z.array(z.string()) });
    api.answer('GET /readyz', readiness, { ok: true, warnings: ['2 entries in the vaults could not be opened'] });
    const who = { role: 'admin', name: 'ops', by: 'token', expiresAt: null } as const;
    // No WebSocket client takes a fragment.
    api.answer('GET /v1/session', WhoAmI, { ...who, terminalUrl: 'ws://127.0.0.1:1/v1/terminal#x' });
    const { code, out } = await run('doctor');
    expect(code).toBe(1);
    expect(out).toMatch(/^warning {2}server: 2 entries in the vaults could not be opened$/m);
    expect(out).toMatch(/^ok {7}token: ops, role admin$/m);
    expect(out).toMatch(/^failure {2}gateway: .*fragment/m);
  });

  test('a server that is not there is one failure, and nothing else is asked', async () => {
    await api[Symbol.asyncDispose]();
    const { code, out } = await run('doctor');
    expect(code).toBe(1);
    expect(out).toMatch(/^failure {2}server: .*\n {9}→ start it/);
    expect(out.match(/^(ok|warning|failure)/gm)).toHaveLength(1);
  });
});

test('completion offers commands, options of each command, kinds, and users as the server knows them', async () => {
  const offered = async (...words: string[]): Promise<string[]> =>
    (await run('__complete', '--', ...words)).out.trim().split('\n');
  expect(await offered('re')).toEqual(
    ['release', 'reap', 'recreate', 'resume', 'replay', 'restore'].toSorted((a, b) => order(a) - order(b)),
  );
  expect(await offered('get', 'le')).toEqual(['leases']);
  expect(await offered('get', 'boxes', '-o', 'w')).toEqual(['wide']);
  expect(await offered('get', 'boxes', '-o', 'wide', '')).toEqual(['alice']);
  expect(await offered('describe', 'lease', 'alice', '')).toEqual(['j1']);
  expect(await offered('rollout', 'p')).toEqual(['pause']);
  expect(await offered('reap', 'alice', 'al')).toEqual(['alice']);
  expect(await offered('run', 'alice', '--', '')).toEqual(['']);
  expect(await offered('reap', '--w')).toEqual(['--wait']);
  expect(await offered('why', 'al')).toEqual(['alice']);
  expect((await run('completion', 'bash')).out).toContain('spoonbox __complete');
});

/** In the order of the help. */
function order(name: string): number {
  return ['replay', 'release', 'reap', 'recreate', 'resume', 'restore'].indexOf(name);
}
