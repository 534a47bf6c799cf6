import { noLimits } from '#shared/config.ts';
import { expect, test } from 'vitest';
import { UserName } from '#shared/identity.ts';
import { createControllerMetrics } from '../../controller/src/metrics/controller-metrics.ts';
import { sampleOf } from '../support/exposition.ts';

const alice = UserName.parse('alice');
const bob = UserName.parse('bob');

function counting() {
  const { registry, onEvent } = createControllerMetrics({ workers: 4, limits: noLimits });
  return { onEvent, value: async (sample: string) => sampleOf(await registry.metrics(), sample) };
}

test('each user counts in the phase of its last pass, once', async () => {
  const { onEvent, value } = counting();
  onEvent({ type: 'concluded', user: alice, phase: 'provisioning', rule: '' });
  onEvent({ type: 'concluded', user: alice, phase: 'ready', rule: '' });
  onEvent({ type: 'concluded', user: bob, phase: 'ready', rule: '' });
  onEvent({ type: 'concluded', user: bob, phase: 'ready', rule: '' });
  expect(await value('spoonbox_boxes{phase="ready"}')).toBe(2);
  expect(await value('spoonbox_boxes{phase="provisioning"}')).toBe(0);
  onEvent({ type: 'concluded', user: bob, phase: null, rule: '' });
  expect(await value('spoonbox_boxes{phase="ready"}')).toBe(1);
});

test('who is known no more at a resync has no box, and who does not lead has none at all', async () => {
  const { onEvent, value } = counting();
  for (const user of [alice, bob]) onEvent({ type: 'concluded', user, phase: 'ready', rule: '' });
  onEvent({ type: 'resynced', tookMs: 5, users: new Set([alice]) });
  expect(await value('spoonbox_boxes{phase="ready"}')).toBe(1);
  onEvent({ type: 'leading', leads: true });
  onEvent({ type: 'leading', leads: false });
  expect(await value('spoonbox_boxes{phase="ready"}')).toBe(0);
  expect(await value('leader_election_master_status{name="spoonbox-controller"}')).toBe(0);
});

test('what homes take up shows as the leader knows it, and at nobody else', async () => {
  const { onEvent, value } = counting();
  onEvent({ type: 'leading', leads: true });
  onEvent({ type: 'homes-known', measured: 3, usedBytes: 9_000, largestBytes: 5_000, overQuota: 1 });
  const samples = ['spoonbox_homes_measured', 'spoonbox_homes_used_bytes', 'spoonbox_home_largest_bytes'];
  const all = () => Promise.all([...samples, 'spoonbox_homes_over_quota'].map(value));
  expect(await all()).toEqual([3, 9_000, 5_000, 1]);
  onEvent({ type: 'leading', leads: false });
  expect(await all()).toEqual([0, 0, 0, 0]);
});

test('the queue’s depth and its workers follow what begins and ends, and the end of the term', async () => {
  const { onEvent, value } = counting();
  const depth = 'workqueue_depth{name="boxes"}';
  const active = 'controller_runtime_active_workers{controller="boxes"}';
  onEvent({ type: 'queued', key: 'alice' });
  onEvent({ type: 'queued', key: 'bob' });
  onEvent({ type: 'pass-began', key: 'alice', waitedMs: 3 });
  expect([await value(depth), await value(active)]).toEqual([1, 1]);
  onEvent({ type: 'pass-ended', key: 'alice', result: 'requeue_after', tookMs: 2 });
  expect([await value(depth), await value(active)]).toEqual([1, 0]);
  expect(await value('workqueue_retries_total{name="boxes"}')).toBe(1);
  onEvent({ type: 'queue-closed' });
  expect(await value(depth)).toBe(0);
});

test('the guard against early reaps is counted apart from who was only late', async () => {
  const { onEvent, value } = counting();
  onEvent({ type: 'commit-refused', user: alice, refused: 'still-wanted', cause: 'idle' });
  onEvent({ type: 'commit-refused', user: alice, refused: 'stale', cause: 'idle' });
  expect(await value('spoonbox_reaps_refused_total{why="still-wanted"}')).toBe(1);
  expect(await value('spoonbox_commits_refused_total{why="stale"}')).toBe(1);
});

test('an amnesty shows while it lasts, and is counted with its cause', async () => {
  const { onEvent, value } = counting();
  onEvent({ type: 'amnesty-began', cause: 'Redis was restarted' });
  expect(await value('spoonbox_amnesty')).toBe(1);
  onEvent({ type: 'amnesty-ended' });
  expect(await value('spoonbox_amnesty')).toBe(0);
  expect(await value('spoonbox_amnesties_total{cause="Redis was restarted"}')).toBe(1);
});

test('the mode is the one that was read last, and a process that does not lead any more shows none', async () => {
  const { onEvent, value } = counting();
  const modes = async (): Promise<number[]> =>
    await Promise.all(['run', 'drain', 'pause'].map((mode) => value(`spoonbox_reconciler_mode{mode="${mode}"}`)));
  expect(await modes()).toEqual([0, 0, 0]);
  onEvent({ type: 'mode-read', mode: 'drain' });
  expect(await modes()).toEqual([0, 1, 0]);
  onEvent({ type: 'mode-read', mode: 'run' });
  expect(await modes()).toEqual([1, 0, 0]);
  onEvent({ type: 'leading', leads: false });
  expect(await modes()).toEqual([0, 0, 0]);
});
