import { afterEach, beforeEach, expect, test } from 'vitest';
import { BoxView, LeaseReply } from '#shared/api-schemas.ts';
import { StatsList } from '#shared/operator-schemas.ts';
import { PullsAsked, RolloutView } from '#shared/rollout.ts';
import { until } from '../api/api-world.ts';
import { aBox, now } from './a-box.ts';
import { startCli } from './cli-run.ts';
import { type FakeApi, startFakeApi } from './fake-api.ts';

/** What waits or watches goes on when the server ends in the middle of it, and comes back. */

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api[Symbol.asyncDispose]());
const start = (...args: string[]) => startCli(args, { server: api.url, token: 'token' });
const told = (event: string, id: string, data: unknown): string =>
  `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;

test('top -w', async () => {
  const stats = { user: 'alice', cpus: 1, cpusLimit: 2, memoryBytes: 1, memoryLimitBytes: 4, pids: 7, home: null };
  api.answer('GET /v1/stats', StatsList, { now, items: [stats] });
  const top = start('top', '-w');
  await until(() => top.out().includes('alice'), 'the first look');
  api.cut(2);
  api.answer('GET /v1/stats', StatsList, { now, items: [{ ...stats, user: 'bob' }] });
  await until(() => top.out().includes('bob'), 'a look after the break');
  top.child.kill('SIGINT');
  expect(await top.ended).toMatchObject({
    code: 130,
    err: expect.stringMatching(/^the watch ended; it is begun again$/m),
  });
});

test('rollout status -w, and rollout now', async () => {
  const mode = { mode: 'run' as const, reason: '', by: '', since: 0 };
  const view = { now, mode, pause: { paused: false, reason: '', by: '', since: 0 }, pulls: null, classes: [] };
  const round = (ended: boolean) => ({ ...view, pulls: { askedAt: 7, ended, by: 'ops', images: [] } });
  api.answer('GET /v1/rollout', RolloutView, view);
  const status = start('rollout', 'status', '-w');
  await until(() => status.out().includes('CLASS'), 'the first look');
  api.cut(1);
  api.answer('GET /v1/rollout', RolloutView, round(false));
  await until(() => status.out().includes('not begun yet'), 'a look after the break');
  status.child.kill('SIGINT');
  await status.ended;
  api.answer('POST /v1/rollout/pulls', PullsAsked, { askedAt: 7 });
  const asking = start('rollout', 'now');
  await until(() => asking.err().includes('not begun yet'), 'the round');
  api.cut(1);
  api.answer('GET /v1/rollout', RolloutView, round(true));
  expect((await asking.ended).code).toBe(0);
});

test.each([
  ['it goes', [told('box', '3', aBox({ phase: 'absent', containerId: null }))]],
  ['another is there already', [told('full', '0', {}), told('box', '0', aBox({ containerId: 'd' }))]],
  ['its user is forgotten', [told('removed', '3', { user: 'alice' })]],
  ['nothing is known of its user when the watch is begun again', [told('full', '0', {}), told('synced', '9', {})]],
])('reap --wait: %s', async (_what, after) => {
  api.answer('POST /v1/boxes/alice/actions', BoxView, aBox());
  const before = [told('full', '0', {}), told('box', '0', aBox()), told('synced', '2', {})];
  api.stream('GET /v1/boxes/alice', before, [], after);
  const { code, out, err } = await start('reap', 'alice', '--wait').ended;
  expect([code, out]).toEqual([0, 'the box of alice is gone; only the home survives\n']);
  expect(err).toContain('the watch ended; it is begun again');
});

const reply = (ready: boolean) => ({
  ...{ lease: { id: 'j1', user: 'alice', expiresAt: now + 60_000 }, now, ready, box: aBox() },
  waitsFor: ready ? null : 'the image is pulled',
});

test('lease --wait', async () => {
  api.answer('PUT /v1/boxes/alice/leases/j1', LeaseReply, reply(false));
  const lease = start('lease', 'alice', '--id', 'j1', '--wait', '30s');
  await until(() => lease.err().includes('the image is pulled'), 'the wait');
  api.cut(2);
  api.answer('PUT /v1/boxes/alice/leases/j1', LeaseReply, reply(true));
  expect(await lease.ended).toMatchObject({ code: 0, out: 'j1\n' });
});

test('lease --wait ends in time, also while no server is there', async () => {
  api.answer('PUT /v1/boxes/alice/leases/j1', LeaseReply, reply(false));
  const lease = start('lease', 'alice', '--id', 'j1', '--wait', '2s');
  await until(() => lease.err().includes('the image is pulled'), 'the wait');
  api.cut(1_000);
  expect(await lease.ended).toMatchObject({
    code: 75,
    out: 'j1\n',
    err: expect.stringContaining('is not ready yet: the image is pulled'),
  });
});

test('a server that never answered is not waited for', async () => {
  api.cut(1_000);
  for (const args of [
    ['top', '-w'],
    ['rollout', 'status', '-w'],
    ['lease', 'alice', '--wait', '9s'],
    ['reap', 'alice', '--wait'],
  ])
    expect((await start(...args).ended).code).toBe(69);
});
