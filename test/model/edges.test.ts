import { describe, expect, test } from 'vitest';
import { containerOf, desiredOf, factsOf, foreignOf, now, spec } from '../support/box-facts.ts';
import type { Facts } from '../../controller/src/box/facts.ts';
import { planNext } from '../../controller/src/box/plan.ts';
import { contextOf } from './worlds.ts';

/** Single decisions worth a sentence of their own; each was wrong once, or would be easy to get wrong. */

const ready = { value: { ready: 'active' }, context: contextOf({ probedId: 'box-1', readyAt: now - 5_000 }) };
const box = containerOf();
const alone = { box, misnamed: false, extras: [], foreign: null };
const idle = { hasLease: false, wantedUntil: now };

function fault(command: NonNullable<Facts['last']>['command'], containerId = 'box-1'): NonNullable<Facts['last']> {
  return { command, containerId, fault: { kind: 'failed', operation: command, status: 500, message: 'no' } };
}

test('a paused box is unpaused for its idle reap, and the commit is asked for the reap, not only for the stop', () => {
  const plan = planNext(ready, factsOf({ ...idle, ownership: { ...alone, box: containerOf({ state: 'paused' }) } }));
  expect(plan.value).toEqual({ reaping: 'stopping' });
  expect(plan.command).toEqual({ type: 'unpause', id: 'box-1', cause: 'idle' });
});

test('a paused box that somebody needs is unpaused without any cause to drain it', () => {
  const ownership = { ...alone, box: containerOf({ state: 'paused' }) };
  const paused = planNext(ready, factsOf({ ownership }));
  expect(paused).toMatchObject({ value: 'failed', requeueAfterMs: 0 });
  expect(planNext(paused, factsOf({ ownership })).command).toEqual({ type: 'unpause', id: 'box-1', cause: null });
});

describe('a fault counts only where it belongs', () => {
  test('a pull that failed for others is no fault of a box that is ready', () => {
    const plan = planNext(ready, factsOf({ ownership: alone, last: fault('pull', '') }));
    expect(plan.context.attempts).toBe(0);
    expect(plan.value).toEqual({ ready: 'active' });
  });

  test('a pull that failed for others does not delay a reap', () => {
    const stored = { value: { reaping: 'removing' }, context: contextOf({ drainId: 'box-1', drainCause: 'idle' }) };
    const ownership = { ...alone, box: containerOf({ state: 'exited' }) };
    const plan = planNext(stored, factsOf({ ...idle, ownership, last: fault('pull', '') }));
    expect(plan.command).toMatchObject({ type: 'remove', id: 'box-1' });
  });

  test('the stop of an old container that ends late is no fault of the new one', () => {
    const stored = { value: { provisioning: 'starting' }, context: contextOf({}) };
    const plan = planNext(stored, factsOf({ ownership: alone, last: fault('stop', 'old-1') }));
    expect(plan.command).toEqual({ type: 'probe', id: 'box-1' });
  });
});

describe('delete and reap do not wait for the backoff of a fault', () => {
  const deleted = desiredOf({ generation: 9, reapGeneration: 9, deletedAt: now });
  const failing = contextOf({ attempts: 8, failingId: 'box-1', failedGeneration: 5 });

  test('while the box is being made', () => {
    const stored = { value: { provisioning: 'probing' }, context: failing };
    const facts = factsOf({ hasLease: false, desired: deleted, ownership: alone, last: fault('probe') });
    expect(planNext(stored, facts).command).toMatchObject({ type: 'stop', cause: 'deleted' });
  });

  test('where nothing was made', () => {
    const stored = { value: { provisioning: 'creating' }, context: failing };
    let plan = planNext(stored, factsOf({ hasLease: false, desired: deleted, last: fault('create', '') }));
    for (let pass = 0; plan.command.type === 'none' && pass < 4; pass += 1) {
      expect(plan.requeueAfterMs).toBe(0);
      plan = planNext(plan, factsOf({ hasLease: false, desired: deleted }));
    }
    expect(plan.command.type).toBe('forget');
  });
});

test('a failed box that does not run is made anew when a newer class is asked for, not started as it was', () => {
  const old = containerOf({ state: 'exited', spec: { ...spec, cpus: 7 } });
  const context = contextOf({
    attempts: 4,
    failingId: 'box-1',
    failedGeneration: 5,
    retryAt: now + 8_000,
    reason: 'StartFailed',
  });
  const facts = factsOf({ desired: desiredOf({ generation: 6 }), ownership: { ...alone, box: old } });
  expect(planNext({ value: 'failed', context }, facts).command).toMatchObject({ type: 'remove', cause: 'stopped' });
});

test('what was pulled or made and cannot be seen is a failure with a pause, not the same command for ever', () => {
  const pulling = { value: { provisioning: 'pulling' }, context: contextOf({ attempts: 1 }) };
  const pulled = factsOf({
    image: { state: 'wanted' },
    spec: null,
    last: { command: 'pull', containerId: '', fault: null },
  });
  expect(planNext(pulling, pulled)).toMatchObject({
    value: 'failed',
    requeueAfterMs: 1_000,
    context: { reason: 'PullFailed' },
  });
  const creating = { value: { provisioning: 'creating' }, context: contextOf({ attempts: 1 }) };
  const made = factsOf({ home: { state: 'absent' }, last: { command: 'ensure-home', containerId: '', fault: null } });
  expect(planNext(creating, made)).toMatchObject({
    value: 'failed',
    requeueAfterMs: 1_000,
    context: { reason: 'HomeFailed' },
  });
});

test('a box that the engine restarts is not ready meanwhile', () => {
  const plan = planNext(ready, factsOf({ ownership: { ...alone, box: containerOf({ state: 'restarting' }) } }));
  expect(plan.value).toEqual({ provisioning: 'starting' });
});

test('a stored reap without a cause, which cannot be, begins anew instead of never ending', () => {
  for (const lost of [{ drainId: 'box-1' }, { drainCause: 'idle' as const }]) {
    const plan = planNext({ value: { reaping: 'stopping' }, context: contextOf(lost) }, factsOf({ ownership: alone }));
    expect(plan).toMatchObject({ value: { provisioning: 'probing' }, command: { type: 'probe', id: 'box-1' } });
  }
});

test('a stored state of another version begins anew, whatever is in it', () => {
  for (const value of [undefined, 'ready', { ready: 'gone' }, { reaping: 'stopping', ready: 'idle' }, 7]) {
    expect(planNext({ value, context: contextOf({}) }, factsOf()).command.type).toBe('create');
    expect(planNext({ value: 'absent', context: { attempts: 'many' } }, factsOf()).command.type).toBe('create');
  }
});

describe('when to look again', () => {
  test('a ready box: when its lease ends, or when it is due', () => {
    expect(planNext(ready, factsOf({ ownership: alone, nextLeaseExpiry: now + 7_000 })).requeueAfterMs).toBe(7_000);
    const held = factsOf({ ownership: alone, hasLease: false, wantedUntil: now + 9_000 });
    expect(planNext(ready, held)).toMatchObject({ value: { ready: 'idle' }, requeueAfterMs: 9_000 });
  });

  test('a box that is due and waits for its turn: when the pacer allows it', () => {
    const plan = planNext(ready, factsOf({ ...idle, ownership: alone, pacedUntil: now + 1_234 }));
    expect(plan).toMatchObject({ command: { type: 'none' }, requeueAfterMs: 1_234 });
  });

  test('a failed box that runs: at the latest when it is due', () => {
    const context = contextOf({ attempts: 9, retryAt: now + 60_000, failedGeneration: 5, reason: 'ProbeFailed' });
    const facts = factsOf({ ownership: alone, hasLease: false, wantedUntil: now + 2_000 });
    expect(planNext({ value: 'failed', context }, facts).requeueAfterMs).toBe(2_000);
  });

  test('an engine that failed one call: soon, also where nobody holds the box', () => {
    const down = factsOf({ engineDown: 'inspect: timeout', hasLease: false });
    expect(planNext(ready, down)).toMatchObject({ value: ready.value, requeueAfterMs: 5_000 });
    expect(planNext(null, down).requeueAfterMs).toBeNull();
  });

  test('a foreign container that is to be replaced once its commands end: from time to time, in every state', () => {
    const foreign = foreignOf();
    const consent = { desired: desiredOf({ adoptContainerId: foreign.id }), foreignExecs: 2 };
    const renamed = { ...alone, box: containerOf({ name: 'renamed' }), foreign };
    expect(planNext(ready, factsOf({ ...consent, ownership: renamed })).requeueAfterMs).toBe(5_000);
    const failed = planNext(null, factsOf({ ...consent, ownership: { ...alone, box: null, foreign } }));
    expect(failed).toMatchObject({ value: 'failed', requeueAfterMs: 5_000 });
  });

  test('an image that is being pulled: its progress and its end are told, so not twice a second', () => {
    const facts = factsOf({ image: { state: 'pulling', progress: null }, spec: null });
    expect(planNext(null, facts).requeueAfterMs).toBe(5_000);
  });
});

test('a new amnesty grants time once, and is outlived', () => {
  const amnesty = { id: 'a', graceMs: 600_000, cause: 'amnesty: Redis was emptied' };
  const granted = planNext(ready, factsOf({ ...idle, ownership: alone, amnesty }));
  expect(granted.context).toMatchObject({ keepUntil: now + 600_000, amnestyId: 'a' });
  const later = { ...idle, ownership: alone, amnesty };
  expect(planNext(granted, factsOf({ ...later, now: now + 599_999 })).command.type).toBe('none');
  expect(planNext(granted, factsOf({ ...later, now: now + 600_000 })).command).toMatchObject({
    type: 'stop',
    cause: 'idle',
  });
});

describe('time that was granted', () => {
  const due = factsOf({ ...idle, ownership: alone });
  const granted = { ...ready, context: { ...ready.context, keepUntil: now + 60_000, keepCause: 'amnesty' } };

  test('is granted again to a running box where the memory of it is lost or damaged', () => {
    for (const lost of [null, { value: granted.value, context: { ...granted.context, keepUntil: 'soon' } }]) {
      const plan = planNext(lost, due);
      expect(plan.context).toMatchObject({ keepUntil: now + 1_800_000, keepCause: 'its status was lost' });
      expect(plan.command.type).not.toBe('stop');
      expect(planNext(plan, { ...due, now: now + 1_800_000 }).command).toMatchObject({ type: 'stop', cause: 'idle' });
    }
  });

  test('is granted also where the engine did not answer at the first look after the loss', () => {
    const blind = planNext(null, factsOf({ ...idle, hasLease: true, engineDown: 'list: timeout' }));
    expect(planNext(blind, due).context.keepUntil).toBe(now + 1_800_000);
  });

  test('is not granted to a box that is made where none was', () => {
    const made = planNext(planNext(null, factsOf()), factsOf({ ownership: alone }));
    expect(made.context).toMatchObject({ keepUntil: 0, isLost: false });
  });

  test('is kept where only the state beside it cannot be read', () => {
    const { keepUntil, keepCause } = granted.context;
    expect(planNext({ ...granted, value: { ready: 'gone' } }, due).context).toMatchObject({ keepUntil, keepCause });
  });

  test('is granted once for each loss of the desired state', () => {
    const orphan = { ...due, desired: null };
    const first = planNext(ready, orphan);
    expect(first.context.keepUntil).toBe(now + 1_800_000);
    const later = { now: now + 1_000 };
    expect(planNext(first, { ...orphan, ...later }).context.keepUntil).toBe(now + 1_800_000);
    const known = planNext(first, { ...due, ...later });
    expect(planNext(known, { ...orphan, ...later }).context.keepUntil).toBe(now + 1_801_000);
  });
});

describe("after Redis' clock jumped back, no time that was set before is waited for", () => {
  const year = 365 * 86_400_000;

  test('of a next try', () => {
    const context = contextOf({ attempts: 9, retryAt: now + year, failedGeneration: 5, reason: 'CreateFailed' });
    expect(planNext({ value: 'failed', context }, factsOf()).requeueAfterMs).toBe(60_000);
    const drain = contextOf({ attempts: 2, retryAt: now + year, drainId: 'box-1', drainCause: 'reap' });
    const plan = planNext({ value: { reaping: 'stopping' }, context: drain }, factsOf({ ownership: alone }));
    expect(plan.requeueAfterMs).toBe(60_000);
  });

  test('of a grant', () => {
    const context = { ...ready.context, keepUntil: now + year, keepCause: 'amnesty' };
    const facts = factsOf({ ...idle, ownership: alone });
    expect(planNext({ ...ready, context }, facts).requeueAfterMs).toBe(1_800_000);
    // Of a class that is not configured nobody knows how long its boxes are kept.
    const classless = { ...facts, boxClass: null, spec: null };
    expect(planNext({ ...ready, context }, classless).requeueAfterMs).toBe(year);
  });
});
