import { expect, test } from 'vitest';
import type { BoxEventView } from '#shared/api-schemas.ts';
import { takenEdges, takenShown } from '../../controller/console/src/machine/taken.ts';

function event(at: number, from: string | null, to: string): BoxEventView {
  const edge = from === null ? null : { from, to, rule: `${from} to ${to}` };
  return { id: `${at}-0`, at, reason: 'Step', message: '', by: 'spoonbox', edge };
}

test('the edges that a box took are numbered as it took them; events without one, and steps that stayed, are none', () => {
  const newestFirst = [event(5, 'b', 'c'), event(4, 'b', 'b'), event(3, null, ''), event(2, 'a', 'b')];
  expect(takenEdges(newestFirst)).toMatchObject([
    { order: 1, from: 'a', to: 'b', at: 2 },
    { order: 2, from: 'b', to: 'c', at: 5 },
  ]);
});

test('only the last of a long way are shown, and the last one has the highest number', () => {
  const long = Array.from({ length: 50 }, (_, index) => event(1_000 - index, `s${index + 1}`, `s${index}`));
  const taken = takenEdges(long);
  expect(taken).toHaveLength(takenShown);
  expect(taken.at(-1)).toMatchObject({ order: takenShown, to: 's0' });
});
