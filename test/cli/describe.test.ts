import { afterAll, beforeAll, expect, test } from 'vitest';
import { BoxList, BoxView, ClassList } from '#shared/api-schemas.ts';
import { RolloutView } from '#shared/rollout.ts';
import { aBox, now } from './a-box.ts';
import { type CliRun, runCli } from './cli-run.ts';
import { type FakeApi, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const run = (...args: string[]): Promise<CliRun> => runCli(['describe', ...args], { server: api.url, token: 'token' });

const pulling = {
  type: 'ImageReady',
  status: 'False',
  reason: 'PullFailed',
  message: 'no such host',
  since: now,
} as const;
const lease = { kind: 'job', holder: 'agent-7', takenAt: now - 5_000, expiresAt: now + 55_000, ttlMs: 60_000 } as const;
const session = { user: 'alice', gateway: 'gw1', execId: 'e', mode: 'rw', startedAt: now - 9_000 } as const;
const box = aBox({
  ...{ phase: 'provisioning', step: 'pulling', message: 'image is pulled', ready: false, conditions: [pulling] },
  leases: [
    { ...lease, id: 'j1', checkout: { spoon: 'shop', branch: 'fix/tax', clone: { url: 'https://g.example/s' } } },
  ],
  endedLeases: [{ ...lease, id: 'j0', endedAt: now - 120_000, endReason: 'expired' }],
  sessions: [
    { ...session, id: 's1', containerId: 'c'.repeat(64), persist: 'tmux' },
    { ...session, id: 's2', containerId: 'd'.repeat(64), mode: 'ro', detachedAt: now - 60_000, record: 'input' },
  ],
});

beforeAll(async () => {
  api = await startFakeApi();
  api.answer('GET /v1/boxes/alice', BoxView, box);
  api.answer('GET /v1/boxes', BoxList, { items: [box, { ...box, user: 'bob' }] });
  const tools = [
    { name: 'codex', state: 'present' as const, version: '0.142', message: '' },
    { name: 'eza', state: 'missing' as const, version: '', message: 'not found' },
  ];
  const limits = { memoryBytes: 4 * 2 ** 30, cpus: 2, pids: 1024 };
  const idle = { detachedMs: 1_800_000, attachedMs: 28_800_000 };
  api.answer('GET /v1/classes', ClassList, {
    items: [
      {
        name: 'default',
        description: '',
        image: 'r.example/box:1',
        hash: 'h',
        limits,
        idle,
        stopGraceMs: 15_000,
        tools,
      },
    ],
  });
  const rollout = { image: 'r.example/box:1', imageId: `sha256:${'a'.repeat(64)}`, pullPolicy: 'Always' as const };
  const ofClass = (name: string, user: string) => ({
    ...{ class: name, ...rollout, upToDate: 1, replacing: [] },
    waiting: [{ user, fields: ['imageId'], heldBy: ['terminal lease of carl'] }],
  });
  api.answer('GET /v1/rollout', RolloutView, {
    ...{ now, pause: { paused: false, reason: '', by: '', since: 0 }, pulls: null },
    mode: { mode: 'run', reason: '', by: '', since: 0 },
    classes: [ofClass('default', 'carl'), ofClass('small', 'dora')],
  });
});
afterAll(() => api[Symbol.asyncDispose]());

test.each([[['lease', 'alice', 'j1']], [['lease/alice/j1']]])('%j is a lease that is live', async (args) => {
  const { code, out } = await run(...args);
  expect(code).toBe(0);
  for (const line of [
    /^Box: +alice, provisioning \(pulling\): image is pulled$/m,
    /^Kind: +job$/m,
    /^Ends: +\S+ UTC \(in 55 s\) unless renewed$/m,
    /^Checkout: +~\/Code\/shop\/fix\/tax, which begins as a clone of https:\/\/g\.example\/s$/m,
    /^ {2}ImageReady, PullFailed: +The image could not be pulled.*\n +Check the name of the image/m,
    /^`spoonbox release alice j1` gives it back\.$/m,
  ]) {
    expect(out).toMatch(line);
  }
});

test('a lease that ended says why, what that means, and what to do', async () => {
  const { out } = await run('lease', 'alice', 'j0');
  expect(out).toMatch(/^Ended: +\S+ UTC \(2 min ago\): expired$/m);
  expect(out).toMatch(/^What these ends mean:\n {2}expired: +Its holder did not renew it in time.*\n +Look whether/m);
  expect(out).not.toMatch(/release|PullFailed/);
});

test('a session says where it runs, who is there, and how to join it', async () => {
  const { out } = await run('session', 'alice', 's1');
  expect(out).toMatch(/^Attached: +somebody is$/m);
  expect(out).toMatch(/^Persist: +tmux: the shell goes on without its gateway/m);
  expect(out).toContain('`spoonbox attach alice --session s1` joins it');
  const left = (await run('session/alice/s2')).out;
  expect(left).toMatch(/^Container: +d{64}, which is not the box any more$/m);
  expect(left).toMatch(/^Attached: +nobody since \S+ UTC \(1 min ago\)$/m);
  expect(left).toMatch(/^Recorded: +what it shows, and what is typed$/m);
});

test.each([[['class', 'default']], [['class/default']]])('%j is a class, with its boxes', async (args) => {
  const { code, out } = await run(...args);
  expect(code).toBe(0);
  for (const line of [
    /^Memory: +4\.0 GiB$/m,
    /^Idle: +30 min with nobody attached, 8 h with nobody typing$/m,
    /^ {2}eza +no +not found$/m,
    /^ {2}carl +default +imageId +terminal lease of carl$/m,
    /^2 boxes:$/m,
    /^ {2}bob +provisioning \(pulling\) +- +image is pulled$/m,
  ]) {
    expect(out).toMatch(line);
  }
  expect(out).not.toContain('dora');
  expect(out.match(/PullFailed:/g)).toHaveLength(1);
});

test.each([
  [['lease', 'alice', 'x'], /alice has no lease x, .*spoonbox get leases alice/],
  [['session', 'alice', 'x'], /alice has no session x; `spoonbox get sessions alice`/],
  [['class', 'x'], /there is no class x: default$/m],
])('%j is not there', async (args, message) => {
  expect(await run(...args)).toMatchObject({ code: 1, out: '', err: expect.stringMatching(message) });
});
