import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Facts } from '../../controller/src/box/facts.ts';
import { boxMachine } from '../../controller/src/box/machine.ts';
import { planNext } from '../../controller/src/box/plan.ts';
import type { StateValue } from '../../controller/src/box/snapshot.ts';
import type { BoxContext } from '../../controller/src/box/context.ts';
import type { Given } from './acceptance.ts';
import { brokenRules } from './invariants.ts';
import {
  admissions,
  amnesties,
  besides,
  boxes,
  classes,
  contextOf,
  contexts,
  desires,
  drifted,
  holders,
  homes,
  images,
  modes,
  oneIn,
  outcomes,
  outdated,
  product,
  rollouts,
  rooms,
  values,
  vaultMemories,
  vaultOutcomes,
  vaults,
  worldOf,
} from './worlds.ts';
import { containerOf, drainMode, imageId, now, rolloutsOn, rolloutsPaused, runMode } from '../support/box-facts.ts';

const leasedOrNot = [holders[0] ?? {}, holders[2] ?? {}];
/** What somebody holds gives no way, and nor does what nobody knows: so the scripts say. */
function leasedOr(held: Partial<Facts>, room: Partial<Facts>): Partial<Facts> {
  return held.hasLease ? { ...room, givesWayAt: null } : room;
}

/** The first few broken rules, each with the world that breaks it; and that worlds were looked at at all. */
function expectAllHold(worlds: Iterable<Given>): void {
  const broken: { rules: string[]; world: string }[] = [];
  let looked = 0;
  for (const given of worlds) {
    looked += 1;
    const rules = brokenRules(given);
    if (rules.length > 0 && broken.length < 3) broken.push({ rules, world: JSON.stringify(given) });
  }
  expect(broken).toEqual([]);
  expect(looked).toBeGreaterThan(1_000);
}

describe('whatever the state and the world, every plan keeps the rules', () => {
  test('of what is there, who asks, and what operators want', () => {
    expectAllHold(
      (function* () {
        for (const [value, memory, box, beside, desired, held] of oneIn(
          17,
          values,
          contexts,
          boxes,
          besides.filter((_beside, index) => index !== 3 && index !== 10),
          desires,
          holders,
        )) {
          yield { value, context: contextOf(memory), facts: worldOf({ box, beside, desired, rest: held }) };
        }
      })(),
    );
  });

  test('of how the last command ended', () => {
    expectAllHold(
      (function* () {
        for (const [value, box, last, held] of product(values, boxes, outcomes, leasedOrNot))
          yield {
            value,
            context: contextOf({ drainId: 'box-1', drainCause: 'stopped' }),
            facts: worldOf({ box, rest: { ...held, last } }),
          };
      })(),
    );
  });

  test('of image, home and class, where there is no box', () => {
    expectAllHold(
      (function* () {
        const ends = [null, ...outcomes.filter(({ containerId }) => containerId === '')];
        for (const [value, image, home, boxClass, held, last] of product(
          values,
          images,
          homes,
          classes,
          leasedOrNot,
          ends,
        ))
          yield {
            value,
            context: contextOf({}),
            facts: worldOf({ box: null, rest: { ...held, image, home, boxClass, last } }),
          };
      })(),
    );
  });

  test('of amnesty, pacer, running stops and drift', () => {
    const memories = [contexts[0] ?? {}, contexts[1] ?? {}, contexts[8] ?? {}];
    const paces = [null, now + 9_000];
    expectAllHold(
      (function* () {
        for (const [value, memory, box, held, amnesty, pacedUntil, stopping, desired] of oneIn(
          7,
          values,
          memories,
          [...boxes, drifted],
          holders,
          amnesties,
          paces,
          [[], ['box-1']],
          [null, {}],
        ))
          yield {
            value,
            context: contextOf(memory),
            facts: worldOf({ box, desired, rest: { ...held, amnesty, pacedUntil, stopping } }),
          };
      })(),
    );
  });

  test('of rollouts, and of what may keep a box from one', () => {
    expectAllHold(
      (function* () {
        for (const [value, memory, box, desired, held, kept, mode, pacedUntil] of oneIn(
          11,
          values,
          contexts,
          [outdated, drifted, containerOf()],
          [null, {}, { generation: 9, reapGeneration: 9 }],
          holders,
          rollouts,
          [runMode, drainMode],
          [null, now + 9_000],
        ))
          yield {
            value,
            context: contextOf(memory),
            facts: worldOf({ box, desired, rest: { ...held, ...kept, mode, pacedUntil } }),
          };
      })(),
    );
  });

  test('of places, and of who gives way', () => {
    expectAllHold(
      (function* () {
        for (const [value, memory, box, admission, room, held, amnesty] of oneIn(
          11,
          values,
          contexts,
          boxes,
          admissions,
          rooms,
          holders,
          amnesties.slice(0, 2),
        )) {
          const rest = { ...held, admission, amnesty, ...leasedOr(held, room) };
          yield { value, context: contextOf(memory), facts: worldOf({ box, rest }) };
        }
      })(),
    );
  });

  test('of what an operator lets the reconciler do', () => {
    expectAllHold(
      (function* () {
        for (const [value, memory, box, mode, desired, held, engineDown] of oneIn(
          13,
          values,
          contexts,
          [...boxes, drifted],
          modes.slice(1),
          desires,
          holders,
          [null, 'connection refused'],
        ))
          yield {
            value,
            context: contextOf(memory),
            facts: worldOf({ box, desired, rest: { ...held, mode, engineDown } }),
          };
      })(),
    );
  });

  test('of the vault', () => {
    expectAllHold(
      (function* () {
        const lasts = [null, ...vaultOutcomes];
        for (const [value, memory, box, vault, last, held] of oneIn(
          7,
          values,
          vaultMemories,
          boxes,
          vaults,
          lasts,
          leasedOrNot,
        ))
          yield { value, context: contextOf(memory), facts: worldOf({ box, rest: { ...held, vault, last } }) };
      })(),
    );
  });

  test('of everything at once, by chance, with the engine down or up', () => {
    const from = <Value>(list: readonly Value[]): fc.Arbitrary<Value> => fc.constantFrom(...list);
    const worlds = fc
      .record({
        value: from(values),
        memory: from([...contexts, ...vaultMemories]),
        box: from([...boxes, drifted, outdated]),
        beside: from(besides),
        desired: from(desires),
        held: from(holders),
        rest: fc.record({
          engineDown: from<Facts['engineDown']>([null, null, null, 'connection refused']),
          image: from(images),
          home: from(homes),
          boxClass: from(classes),
          vault: from(vaults),
          last: from<Facts['last']>([null, ...outcomes, ...vaultOutcomes]),
          amnesty: from(amnesties),
          pacedUntil: from([null, now + 9_000]),
          admission: from(admissions),
          room: from(rooms),
          mode: from([runMode, ...modes]),
          rollout: from([rolloutsOn, rolloutsPaused]),
          sessionsIn: from([[], ['box-1']]),
          keptUntil: from([0, now + 30_000]),
          stopping: from([[], ['box-1'], ['extra-1', 'foreign-1']]),
        }),
      })
      .map(({ value, memory, box, beside, desired, held, rest }): Given => {
        const { room, ...others } = rest;
        const context = contextOf(memory);
        return {
          value,
          context,
          facts: worldOf({ box, beside, desired, rest: { ...held, ...others, ...leasedOr(held, room) } }),
        };
      });
    fc.assert(
      fc.property(worlds, (given) => {
        expect(brokenRules(given)).toEqual([]);
      }),
      { numRuns: 8_000 },
    );
  });
});

test('every edge of the machine is taken in some world', () => {
  const untaken = new Set(edgesOf(boxMachine.root));
  expect(untaken.size).toBeGreaterThan(30);
  const look = (value: StateValue, memory: Partial<BoxContext>, facts: Facts): void => {
    untaken.delete(planNext({ value, context: contextOf(memory) }, facts).rule);
  };
  look('absent', {}, worldOf({ box: null, rest: { engineDown: 'connection refused' } }));
  for (const mode of modes) look('absent', {}, worldOf({ box: null, rest: { mode } }));
  for (const admission of admissions) {
    look('absent', {}, worldOf({ box: null, rest: { admission } }));
    look('absent', {}, worldOf({ box: containerOf({ state: 'exited' }), rest: { admission } }));
  }
  for (const [value, memory, box, beside, desired, held] of oneIn(
    23,
    values,
    contexts,
    boxes,
    besides,
    desires,
    holders,
  )) {
    look(value, memory, worldOf({ box, beside, desired, rest: held }));
  }
  const memories = [{}, { vanished: true }, { probedId: 'box-1' }, { drainId: 'box-1', drainCause: 'reap' as const }];
  for (const [value, box, memory, last] of product(
    values,
    [null, containerOf(), containerOf({ state: 'exited' })],
    memories,
    outcomes,
  )) {
    look(value, memory, worldOf({ box, rest: { last } }));
    const rest = { last, image: { state: 'wanted' }, home: { state: 'absent' } } as const;
    look(value, memory, worldOf({ box, rest }));
    const withImage = { ...rest, image: { state: 'present', id: imageId } } as const;
    look(value, memory, worldOf({ box, rest: withImage }));
    look(value, memory, worldOf({ box, rest: { ...withImage, home: { state: 'not-given' } } }));
  }
  for (const [value, memory, vault] of product(values, vaultMemories, vaults))
    look(value, memory, worldOf({ box: containerOf(), rest: { vault } }));
  for (const [value, image, home, boxClass] of product(values, images, homes, classes))
    look(value, {}, worldOf({ box: null, rest: { image, home, boxClass } }));
  expect([...untaken]).toEqual([]);
});

interface StateNode {
  readonly transitions: ReadonlyMap<string, readonly { readonly description?: string | undefined }[]>;
  readonly states: Readonly<Record<string, StateNode>>;
}

function edgesOf(node: StateNode): string[] {
  const own = [...node.transitions.values()].flat().map(({ description = '' }) => description);
  return [...own, ...Object.values(node.states).flatMap(edgesOf)];
}
