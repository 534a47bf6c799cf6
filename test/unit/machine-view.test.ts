import { expect, test } from 'vitest';
import { Reason } from '#shared/status.ts';
import { reasonTexts } from '#shared/reasons.ts';
import { boxMachine } from '../../controller/src/box/machine.ts';
import { machineView } from '../../controller/src/box/machine-view.ts';

const view = machineView(boxMachine);

test('the view of the machine has the states that a box can be in, and nothing but them', () => {
  expect(view.states).toEqual([
    'absent',
    'provisioning.pulling',
    'provisioning.creating',
    'provisioning.starting',
    'provisioning.probing',
    'ready.active',
    'ready.idle',
    'reaping.stopping',
    'reaping.removing',
    'failed',
  ]);
  for (const { from, to } of view.edges) {
    expect(view.states).toContain(from);
    if (to !== null) expect(view.states).toContain(to);
  }
});

test('each state asks its rules in the order of the definition: a pause and the engine first, the default last', () => {
  for (const state of view.states) {
    const rules = view.edges.filter(({ from }) => from === state).map(({ rule }) => rule);
    expect(rules.slice(0, 2)).toEqual([
      'an operator paused the reconciler: nothing is done',
      'the engine does not answer: nothing is known, nothing is concluded',
    ]);
    expect(rules.every((rule) => rule !== '')).toBe(true);
    expect(rules.length).toBeGreaterThan(2);
  }
});

test('every reason has a text', () => {
  expect(Object.keys(reasonTexts).toSorted()).toEqual(Reason.options.toSorted());
});
