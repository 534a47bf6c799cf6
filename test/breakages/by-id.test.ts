import { describe, expect, test } from 'vitest';
import { freshContext } from '../../controller/src/box/context.ts';
import { planNext } from '../../controller/src/box/plan.ts';
import type { Command } from '../../controller/src/box/command.ts';
import { consentedForeign } from '../../controller/src/box/adopting.ts';
import { ownershipOf } from '../../controller/src/box/ownership.ts';
import { Executor } from '../../controller/src/reconcile/executor.ts';
import { Operations } from '../../controller/src/reconcile/operations.ts';
import { alice, containerOf, desiredOf, factsOf, foreignOf, installation } from '../support/box-facts.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';
import { noVaults } from '../support/no-vaults.ts';

test('start, unpause, rename, probe, stop and remove go by the id that was inspected', async () => {
  const touched: string[] = [];
  const note = async (id: string): Promise<void> => void touched.push(id);
  const runtime = fakeRuntime({ start: note, unpause: note, rename: note, probe: note, stop: note, remove: note });
  const { signal } = new AbortController();
  const none = (): void => {};
  const operations = new Operations({ runtime, signal, nowMs: () => 0, onProgress: none, onEnd: none });
  const executor = new Executor({
    runtime,
    operations,
    vaults: noVaults,
    clock: new FakeClock(),
    fenceMs: 5_000,
    signal,
  });
  const commands: Command[] = [
    { type: 'start', id: 'box-1' },
    { type: 'unpause', id: 'box-1', cause: 'idle' },
    { type: 'rename', id: 'box-1', name: 'spoon-box-alice' },
    { type: 'probe', id: 'box-1' },
    { type: 'stop', id: 'box-1', graceMs: 1, cause: 'idle' },
    { type: 'remove', id: 'box-1', cause: 'idle' },
  ];
  for (const command of commands) {
    await executor.execute(command, { user: alice, facts: factsOf(), committedAtMs: 1_000 });
  }
  expect(touched).toEqual(commands.map(() => 'box-1'));
});

describe('a container under the name of a box', () => {
  test('a box of another installation is foreign', () => {
    const other = containerOf({ installation: 'another' });
    expect(ownershipOf(alice, installation, [other])).toMatchObject({ box: null, extras: [], foreign: other });
  });

  test('made from an image that was committed from a box is foreign', () => {
    const committed = containerOf({ imageId: 'sha256:committed' });
    expect(ownershipOf(alice, installation, [committed])).toMatchObject({ box: null, extras: [], foreign: committed });
  });

  test('consent to replace another container is none for this one', () => {
    const ownership = { box: null, misnamed: false, extras: [], foreign: foreignOf() };
    const consent = (id: string) => factsOf({ ownership, desired: desiredOf({ adoptContainerId: id }) });
    expect(consentedForeign(consent('foreign-2'))).toBeNull();
    expect(consentedForeign(consent('foreign-1'))).toBe(ownership.foreign);
  });
});

test('a box that is being reaped stays so until it is gone, whoever asks for it meanwhile', () => {
  const context = { ...freshContext, drainId: 'box-1', drainCause: 'idle' };
  for (const state of ['running', 'paused', 'exited', 'removing'] as const) {
    const ownership = { box: containerOf({ state }), misnamed: false, extras: [], foreign: null };
    for (const value of [{ reaping: 'stopping' }, { reaping: 'removing' }]) {
      expect(planNext({ value, context }, factsOf({ ownership, hasLease: true })).phase).toBe('reaping');
    }
  }
});

test('what somebody removes already is waited for, and not removed once more', () => {
  const context = { ...freshContext, drainId: 'box-1', drainCause: 'idle' };
  const ownership = { box: containerOf({ state: 'removing' }), misnamed: false, extras: [], foreign: null };
  for (const value of [{ reaping: 'removing' }, { reaping: 'stopping' }, { provisioning: 'starting' }, 'failed']) {
    const plan = planNext({ value, context }, factsOf({ ownership, hasLease: true }));
    expect(plan).toMatchObject({ phase: 'reaping', command: { type: 'none' } });
    // An engine that fails in it tells nobody: the container is looked at again soon.
    expect(plan.requeueAfterMs).toBeLessThanOrEqual(1_000);
  }
});
