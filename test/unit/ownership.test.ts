import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BoxSpec, type ContainerState, type ContainerView } from '../../controller/src/box/observed.ts';
import { isLive, isOurs, ownershipOf } from '../../controller/src/box/ownership.ts';
import { alice, containerOf, foreignOf, installation, spec } from '../support/box-facts.ts';

const states: ContainerState[] = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];

function of(...containers: ContainerView[]): ReturnType<typeof ownershipOf> {
  return ownershipOf(alice, installation, containers);
}

describe('the box of a user is', () => {
  const named = containerOf({ id: 'the-named' });
  const other = containerOf({ id: 'other', name: 'renamed-by-hand' });
  /** Each pair: the better first. */
  const pairs: [string, ContainerView, ContainerView][] = [
    ['the one with the name, of two that run', named, other],
    ['one that runs under another name, before one that does not', other, { ...named, state: 'exited' }],
    ['a paused one, before one that was never started', { ...other, state: 'paused' }, { ...named, state: 'created' }],
    ['one that restarts, before one that ended', { ...other, state: 'restarting' }, { ...named, state: 'exited' }],
    [
      'one that ended, before one that is being removed',
      { ...other, state: 'exited' },
      { ...named, state: 'removing' },
    ],
    ['one that was never started, before a dead one', { ...other, state: 'created' }, { ...named, state: 'dead' }],
    ['the one with the name, of two that ended', { ...named, state: 'exited' }, { ...other, state: 'exited' }],
    ['the one with the name, of two that go', { ...named, state: 'dead' }, { ...other, state: 'removing' }],
    ['the newer of two', { ...other, createdAtS: 9 }, { ...other, id: 'a', createdAtS: 8 }],
    ['the first by id of two of the same second', { ...other, id: 'a' }, { ...other, id: 'b' }],
  ];
  test.each(pairs)('%s', (_which, better, worse) => {
    for (const containers of [
      [better, worse],
      [worse, better],
    ])
      expect(of(...containers)).toMatchObject({ box: { id: better.id }, extras: [{ id: worse.id }], foreign: null });
  });

  test('the same one, in whatever order an engine lists them', () => {
    const container = fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      state: fc.constantFrom(...states),
      isNamed: fc.boolean(),
      createdAtS: fc.integer({ min: 1, max: 3 }),
    });
    const lists = fc.uniqueArray(container, { selector: ({ id }) => id, maxLength: 5 });
    fc.assert(
      fc.property(lists, fc.infiniteStream(fc.integer({ min: 0, max: 9 })), (list, keys) => {
        const views = list.map(({ isNamed, ...rest }) =>
          containerOf({ ...rest, name: isNamed ? 'spoon-box-alice' : rest.id }),
        );
        const mixed = views.map((view) => ({ view, key: keys.next().value })).toSorted((a, b) => a.key - b.key);
        const [first, second] = [of(...views), of(...mixed.map(({ view }) => view))];
        expect([first.box, first.extras]).toEqual([second.box, second.extras]);
        expect([first.box, ...first.extras].filter((each) => each !== null)).toHaveLength(views.length);
        const isGivenUp = first.extras.some(isLive) && first.box !== null && !isLive(first.box);
        expect(isGivenUp).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test('none, where nothing is there', () => {
    expect(of()).toEqual({ box: null, misnamed: false, extras: [], foreign: null });
  });
});

describe('ours is', () => {
  test('what carries our label, is a box of this user, and was made from the image that its spec names', () => {
    expect(isOurs(containerOf(), installation)).toBe(true);
    expect(isOurs(containerOf({ spec: null }), installation)).toBe(true);
    expect(isOurs(containerOf({ installation: 'another' }), installation)).toBe(false);
    expect(isOurs(containerOf({ installation: '' }), installation)).toBe(false);
    expect(isOurs(containerOf({ role: 'helper' }), installation)).toBe(false);
    expect(isOurs(containerOf({ imageId: 'sha256:committed' }), installation)).toBe(false);
  });

  test("not what is another user's, also under this user's name", () => {
    const bobs = containerOf({ user: 'bob' });
    expect(of(bobs)).toEqual({ box: null, misnamed: false, extras: [], foreign: bobs });
    expect(of(containerOf(), { ...bobs, id: 'b', name: 'spoon-box-bob' })).toMatchObject({ extras: [], foreign: null });
  });
});

describe('a foreign container', () => {
  test('is one under the name of the box, whatever else is there', () => {
    const foreign = foreignOf();
    const renamed = containerOf({ name: 'renamed-by-hand' });
    expect(of(foreign)).toEqual({ box: null, misnamed: false, extras: [], foreign });
    expect(of(renamed, foreign)).toEqual({ box: renamed, misnamed: false, extras: [], foreign });
    expect(of(foreignOf({ name: 'somebody' }))).toMatchObject({ foreign: null });
  });
});

test('a box is misnamed where it has another name and its own is free', () => {
  const renamed = containerOf({ id: 'renamed', name: 'renamed-by-hand' });
  expect(of(renamed)).toMatchObject({ box: renamed, misnamed: true });
  expect(of(containerOf())).toMatchObject({ misnamed: false });
  expect(of(renamed, containerOf({ state: 'exited' }))).toMatchObject({ box: renamed, misnamed: false });
});

test('processes of a user exist in what runs, is paused or restarts', () => {
  expect(states.filter((state) => isLive(containerOf({ state })))).toEqual(['running', 'paused', 'restarting']);
});

test('a spec survives its label', () => {
  expect(BoxSpec.parse(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
  for (const field of Object.keys(spec)) expect(BoxSpec.safeParse({ ...spec, [field]: undefined }).success).toBe(false);
});
