import { describe, expect, test } from 'vitest';
import {
  boxClass,
  containerOf,
  desiredOf,
  drainMode,
  factsOf,
  foreignOf,
  now,
  pauseMode,
  spec,
} from '../support/box-facts.ts';
import { freshVault } from '../../controller/src/box/context.ts';
import type { Facts } from '../../controller/src/box/facts.ts';
import { type Plan, planNext } from '../../controller/src/box/plan.ts';
import { restore, stateOf } from '../../controller/src/box/snapshot.ts';
import { admissions, contextOf } from './worlds.ts';

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

  test('a box beside which something failed: when it is tried again', () => {
    const waiting = { ...ready, context: contextOf({ ...ready.context, retryAt: now + 3_000, reason: 'StopFailed' }) };
    expect(planNext(waiting, factsOf({ ownership: alone, nextLeaseExpiry: now + 7_000 })).requeueAfterMs).toBe(3_000);
  });

  test('a box that failed and is not there: only when it is tried again', () => {
    const context = contextOf({ attempts: 9, retryAt: now + 20_000, failedGeneration: 5, reason: 'CreateFailed' });
    expect(planNext({ value: 'failed', context }, factsOf({ wantedUntil: now + 5_000 })).requeueAfterMs).toBe(20_000);
  });

  test('a box that is started while the image of its class is pulled for others: soon', () => {
    const ownership = { ...alone, box: containerOf({ state: 'created' }) };
    const facts = factsOf({ ownership, image: { state: 'pulling', progress: null }, spec: null });
    expect(planNext(null, facts)).toMatchObject({ value: { provisioning: 'starting' }, requeueAfterMs: 500 });
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

describe('the grace of a stop', () => {
  const due = { ...idle, boxClass: { ...boxClass, stopGrace: 5_000 } };
  const graceOf = (facts: Partial<Facts>): unknown => {
    const { command } = planNext(ready, factsOf({ ...due, ...facts }));
    return command.type === 'stop' ? command.graceMs : command;
  };

  test('is what the box was made with, and not what its class says now', () => {
    expect(graceOf({ ownership: alone })).toBe(10_000);
  });

  test("is the class's where the box does not tell, and ten seconds where nobody does", () => {
    const untold = { ownership: { ...alone, box: containerOf({ spec: null }) } };
    expect(graceOf(untold)).toBe(5_000);
    expect(graceOf({ ...untold, boxClass: null, spec: null })).toBe(10_000);
  });
});

test('consent names a container by its id, or by 12 digits or more that it begins with', () => {
  const foreign = foreignOf({ id: '0123456789abcdef' });
  const isConsented = (adoptContainerId: string): boolean => {
    const ownership = { ...alone, box: null, foreign };
    const facts = factsOf({ ownership, desired: desiredOf({ adoptContainerId }), foreignExecs: 0 });
    return planNext(null, facts).command.type === 'stop';
  };
  for (const name of ['0123456789ab', '0123456789abc', '0123456789abcdef']) expect(isConsented(name)).toBe(true);
  for (const name of ['', '0123456789a', '456789abcdef', '0123456789abcdef0']) expect(isConsented(name)).toBe(false);
  expect(planNext(null, factsOf({ ownership: { ...alone, box: null, foreign }, desired: null })).command.type).toBe(
    'none',
  );
});

test('a box that was ready for a minute has left its old faults behind, and not a moment earlier', () => {
  const attemptsAfter = (readyMs: number): number => {
    const context = contextOf({ probedId: 'box-1', readyAt: now - readyMs, attempts: 4 });
    return planNext({ value: { ready: 'active' }, context }, factsOf()).context.attempts;
  };
  expect([attemptsAfter(59_999), attemptsAfter(60_000)]).toEqual([5, 1]);
});

test('a memory begins empty', () => {
  expect(planNext(null, factsOf({ hasLease: false })).context).toEqual({
    ...{ attempts: 0, retryAt: 0, reason: null, message: '', failingId: '', failedGeneration: 0, creationsSeen: 0 },
    ...{ vanished: false, probedId: '', readyAt: null, drainId: '', drainCause: null, keepUntil: 0, keepCause: '' },
    ...{ amnestyId: '', orphanGranted: false, isLost: false, lastReap: null, vault: freshVault, place: null },
  });
});

describe('what was put right outside is no reason to wait any longer', () => {
  const foreign = foreignOf();
  const named = { desired: desiredOf({ adoptContainerId: foreign.id }) };
  const beside = { ...alone, box: null, foreign };
  const paused = { ...alone, box: containerOf({ state: 'paused' }) };
  const gone = { boxClass: null, spec: null, image: { state: 'unknown' } } as const;
  const without = (state: 'wanted' | 'forbidden'): Partial<Facts> => ({ image: { state }, spec: null });
  const started = { ...alone, box: containerOf({ state: 'created' }) };
  const cases: [NonNullable<Plan['context']['reason']>, string, boolean, Partial<Facts>][] = [
    ['ForeignContainer', 'it is there', false, { ownership: beside }],
    [
      'ForeignContainer',
      'it may be replaced, but commands run in it',
      false,
      { ...named, ownership: beside, foreignExecs: 1 },
    ],
    ['ForeignContainer', 'it may be replaced', true, { ...named, ownership: beside, foreignExecs: 0 }],
    ['ForeignContainer', 'it is gone', true, {}],
    ['ContainerPaused', 'nobody needs it', false, { ...idle, wantedUntil: now + 60_000, ownership: paused }],
    ['ContainerPaused', 'somebody needs it', true, { ownership: paused }],
    ['ContainerPaused', 'it was unpaused', true, { ...idle, wantedUntil: now + 60_000, ownership: alone }],
    ['ContainerPaused', 'it ended, and somebody needs it', true, { ownership: started }],
    ['ClassUnknown', 'it is unknown still', false, gone],
    ['ClassUnknown', 'it is known', true, {}],
    ['ClassUnknown', 'it is known, but its image is absent', true, without('wanted')],
    ['PullFailed', 'the image is absent', false, without('wanted')],
    ['PullFailed', 'the image is there', true, {}],
    ['ImageMissing', 'it may not be pulled', false, without('forbidden')],
    ['ImageMissing', 'it may be pulled now', true, without('wanted')],
    ['ImageMissing', 'it is there', true, {}],
    ['StartFailed', 'nothing changed', false, { ownership: started }],
    ['CreateFailed', 'nothing changed', false, {}],
  ];
  test.each(cases)('%s: %s', (reason, _what, isHealed, facts) => {
    const context = contextOf({ reason, attempts: 1, retryAt: now + 20_000, failedGeneration: 5, message: 'no' });
    const { rule } = planNext({ value: 'failed', context }, factsOf(facts));
    expect(rule === 'it is not time to try again').toBe(!isHealed);
  });

  test.each([
    ['its time has come', now, 5],
    ['a newer generation is asked for', now + 1, 4],
  ])('a failed box is tried again when %s', (_when, retryAt, failedGeneration) => {
    const tried = (changes: Partial<Plan['context']>): string =>
      planNext(
        { value: 'failed', context: contextOf({ reason: 'CreateFailed', retryAt, failedGeneration, ...changes }) },
        factsOf(),
      ).command.type;
    expect(tried({})).toBe('create');
    expect(tried({ retryAt: now + 1, failedGeneration: 5 })).toBe('none');
  });
});

test('a wish concerns only boxes of older generations', () => {
  const causeOf = (wish: Partial<NonNullable<Facts['desired']>>): unknown => {
    const { command } = planNext(ready, factsOf({ desired: desiredOf({ generation: 6, ...wish }), ownership: alone }));
    return 'cause' in command ? command.cause : null;
  };
  expect([5, 6].map((reapGeneration) => causeOf({ reapGeneration }))).toEqual([null, 'reap']);
  expect([5, 6].map((recreateGeneration) => causeOf({ recreateGeneration }))).toEqual([null, 'recreate']);
});

describe('under a drain', () => {
  const drained = { mode: drainMode };

  test('who waits for a box is not looked at again before the mode changes, and its faults are not forgotten', () => {
    const stored = { value: 'absent', context: contextOf({ attempts: 3 }) };
    const plan = planNext(stored, factsOf(drained));
    expect(plan).toMatchObject({ phase: 'absent', command: { type: 'none' }, requeueAfterMs: null });
    expect(plan.context.attempts).toBe(3);
    expect(planNext(plan, factsOf()).command.type).toBe('create');
  });

  test('a box that ended is started, for it is there; one that must be made again goes, and waits', () => {
    const ended = factsOf({ ...drained, ownership: { ...alone, box: containerOf({ state: 'exited' }) } });
    expect(planNext(null, ended).command.type).toBe('start');
    const old = containerOf({ state: 'exited', spec: { ...spec, cpus: 7 } });
    const removed = planNext(null, factsOf({ ...drained, ownership: { ...alone, box: old } }));
    expect(removed.command).toMatchObject({ type: 'remove', cause: 'stopped' });
    const gone = planNext(removed, factsOf(drained));
    expect(gone).toMatchObject({ phase: 'absent', requeueAfterMs: null });
    expect(planNext(gone, factsOf(drained)).command.type).toBe('none');
  });

  test('idle reaps and those that operators want are done', () => {
    expect(planNext(ready, factsOf({ ...drained, ...idle, ownership: alone })).command).toMatchObject({
      cause: 'idle',
    });
    const desired = desiredOf({ generation: 6, reapGeneration: 6 });
    expect(planNext(ready, factsOf({ ...drained, desired, ownership: alone })).command).toMatchObject({
      cause: 'reap',
    });
  });
});

describe('under a pause', () => {
  test('a running box is granted the time of an amnesty, for that touches no box', () => {
    const amnesty = { id: 'a', graceMs: 600_000, cause: 'amnesty: Redis was restarted' };
    const plan = planNext(ready, factsOf({ ...idle, mode: pauseMode, ownership: alone, amnesty }));
    expect(plan).toMatchObject({ value: ready.value, command: { type: 'none' } });
    expect(plan.context).toMatchObject({ keepUntil: now + 600_000, amnestyId: 'a' });
  });

  test('a drain that has begun stands still, and goes on after it', () => {
    const stored = { value: { reaping: 'removing' }, context: contextOf({ drainId: 'box-1', drainCause: 'idle' }) };
    const ownership = { ...alone, box: containerOf({ state: 'exited' }) };
    const plan = planNext(stored, factsOf({ ...idle, mode: pauseMode, ownership }));
    expect(plan).toMatchObject({ value: stored.value, command: { type: 'none' }, requeueAfterMs: null });
    expect(planNext(plan, factsOf({ ...idle, ownership })).command).toMatchObject({ type: 'remove', id: 'box-1' });
  });
});

test('time that is granted for several causes names them all', () => {
  const amnesty = { id: 'a', graceMs: 600_000, cause: 'amnesty: Redis was emptied' };
  const facts = factsOf({ ...idle, ownership: alone, desired: null, amnesty });
  expect(planNext(null, facts).context.keepCause).toBe(
    'amnesty: Redis was emptied; its desired state was lost; its status was lost',
  );
});

test('a box that ended is started again, also where nothing is known that it could be compared with', () => {
  const facts = factsOf({ ownership: { ...alone, box: containerOf({ state: 'exited' }) }, spec: null, boxClass: null });
  expect(planNext({ value: 'absent', context: contextOf({}) }, facts).command).toEqual({ type: 'start', id: 'box-1' });
});

describe('what failed beside a ready box is tried again when its time has come, and not before', () => {
  const extra = (state: 'running' | 'exited') => containerOf({ id: 'extra-1', name: 'extra', state });
  test.each([
    ['stop', { ...alone, extras: [extra('running')] }],
    ['remove', { ...alone, extras: [extra('exited')] }],
    ['rename', { ...alone, box: containerOf({ name: 'renamed-by-hand' }), misnamed: true }],
  ])('%s', (command, ownership) => {
    const commandAt = (retryAt: number): string =>
      planNext({ ...ready, context: { ...ready.context, retryAt } }, factsOf({ ownership })).command.type;
    expect([now + 1, now, 0].map(commandAt)).toEqual(['none', command, command]);
  });
});

test('a box that nobody asks for any more leaves its faults behind, but not the memory of its reap', () => {
  const lastReap = { cause: 'idle', at: now - 5, message: 'nobody needed the box any more' } as const;
  const context = contextOf({ attempts: 3, reason: 'CreateFailed', message: 'no', failedGeneration: 5, lastReap });
  for (const value of ['absent', 'failed', { provisioning: 'creating' }])
    expect(planNext({ value, context }, factsOf(idle)).context).toEqual(contextOf({ lastReap }));
});

test('no memory at all is the beginning', () => {
  expect([stateOf(restore(null)), restore(null).context.isLost]).toEqual(['absent', true]);
});

test('only the probe of this very container makes it ready', () => {
  const probed = (containerId: string): unknown => {
    const last = { command: 'probe', containerId, fault: null } as const;
    return planNext({ value: { provisioning: 'probing' }, context: contextOf({}) }, factsOf({ ownership: alone, last }))
      .value;
  };
  expect([probed('box-1'), probed('old-1')]).toEqual([{ ready: 'active' }, { provisioning: 'probing' }]);
});

describe('a place', () => {
  const place = { at: now - 60_000, memoryBytes: boxClass.limits.memory };
  const admission = admissions[1] ?? { state: 'open' };
  const failing = { attempts: 3, reason: 'CreateFailed', message: 'no space', failedGeneration: 5, place } as const;

  test('is taken with the first step to a box, and kept at its first fault, which is tried again at once', () => {
    const first = planNext(null, factsOf({ image: { state: 'wanted' }, spec: null }));
    expect(first).toMatchObject({ command: { type: 'pull' }, context: { place: { memoryBytes: place.memoryBytes } } });
    const stored = { value: { provisioning: 'creating' }, context: contextOf({ place }) };
    const failed = planNext(stored, factsOf({ admission, last: fault('create', '') }));
    expect(failed).toMatchObject({ value: 'failed', requeueAfterMs: 0, context: { place } });
    expect(planNext(failed, factsOf({ admission })).command.type).toBe('create');
  });

  test('is given back while a box that failed again waits for its next try, which stands in line like others', () => {
    const stored = { value: 'failed', context: contextOf({ ...failing, retryAt: now + 4_000 }) };
    const waiting = planNext(stored, factsOf({ admission }));
    expect(waiting).toMatchObject({ value: 'failed', context: { place: null } });
    const due = planNext(waiting, factsOf({ now: now + 4_000, admission }));
    expect(due).toMatchObject({ value: 'absent', command: { type: 'none' }, requeueAfterMs: 5_000 });
  });

  test.each([
    ['recreate', place],
    ['gave-way', null],
    ['idle', null],
    ['reap', null],
  ] as const)('after a drain of cause %s, with a holder by now, is %o', (drainCause, kept) => {
    const context = contextOf({ drainId: 'box-1', drainCause, place });
    expect(planNext({ value: { reaping: 'removing' }, context }, factsOf()).context.place).toEqual(kept);
  });

  test('for a smaller box does not do for a larger one', () => {
    const context = contextOf({ place: { ...place, memoryBytes: place.memoryBytes - 1 } });
    expect(planNext({ value: 'absent', context }, factsOf({ admission })).command.type).toBe('none');
    expect(planNext({ value: 'absent', context }, factsOf()).context.place?.memoryBytes).toBe(place.memoryBytes);
  });

  test('is the running box’s own, whoever made it and however many there may be', () => {
    const plan = planNext(null, factsOf({ ownership: alone, admission }));
    expect(plan).toMatchObject({ command: { type: 'probe' }, context: { place: { memoryBytes: place.memoryBytes } } });
  });

  test('is none of a user for whom nobody asks', () => {
    const stored = { value: { provisioning: 'creating' }, context: contextOf({ place }) };
    expect(planNext(stored, factsOf({ hasLease: false })).context.place).toBeNull();
  });
});
