import { expect, test } from 'vitest';
import type { MachineView } from '#shared/operator-schemas.ts';
import { type Box, type Direction, layoutMachine } from '../../controller/console/src/machine/layout.ts';

const states = [
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
];
/** Every state leads to every state: the most that can have to be drawn. */
const everything: MachineView = {
  states,
  edges: states.flatMap((from) => states.map((to) => ({ from, to, rule: `${from} to ${to}` }))),
};
const directions: readonly Direction[] = ['wide', 'tall'];

test.each(directions)(
  'drawn %s, every state has a place of its own, within its phase and within the drawing',
  (direction) => {
    const drawing = layoutMachine(everything, direction);
    expect(drawing.states.map(({ state }) => state).sort()).toEqual(states.toSorted());
    const whole: Box = { x: 0, y: 0, width: drawing.width, height: drawing.height };
    for (const [index, state] of drawing.states.entries()) {
      expect(isWithin(state, whole), state.state).toBe(true);
      for (const other of drawing.states.slice(index + 1)) {
        expect(meets(state, other), `${state.state} and ${other.state}`).toBe(false);
      }
      const phase = drawing.phases.find((one) => state.state.startsWith(`${one.phase}.`));
      expect(phase === undefined || isWithin(state, phase), state.state).toBe(true);
    }
    for (const [index, phase] of drawing.phases.entries()) {
      for (const other of drawing.phases.slice(index + 1)) expect(meets(phase, other)).toBe(false);
    }
  },
);

test.each(directions)(
  'drawn %s, every edge goes from the border of its state to the border of the other, inside the drawing',
  (direction) => {
    const drawing = layoutMachine(everything, direction);
    expect(drawing.edges).toHaveLength(states.length * (states.length - 1));
    const placeOf = new Map(drawing.states.map((place) => [place.state, place]));
    for (const { from, to, path } of drawing.edges) {
      const points = [...path.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => ({ x: Number(x), y: Number(y) }));
      const [start, end] = [points[0], points.at(-1)];
      const [source, target] = [placeOf.get(from), placeOf.get(to)];
      if (!start || !end || !source || !target) throw new Error(`${from} → ${to} is not drawn: ${path}`);
      expect(isOnBorder(start, source), `${from} → ${to} leaves at ${start.x} ${start.y}`).toBe(true);
      expect(isOnBorder(end, target), `${from} → ${to} arrives at ${end.x} ${end.y}`).toBe(true);
      for (const { x, y } of points) {
        expect(x >= 0 && y >= 0 && x <= drawing.width && y <= drawing.height, `${from} → ${to}: ${path}`).toBe(true);
      }
    }
  },
);

test('rules between the same two states are one edge in their order; what stays is not drawn', () => {
  const { edges } = layoutMachine(
    {
      states: ['absent', 'ready.active'],
      edges: [
        { from: 'absent', to: 'ready.active', rule: 'first' },
        { from: 'absent', to: null, rule: 'waits' },
        { from: 'absent', to: 'absent', rule: 'again' },
        { from: 'absent', to: 'ready.active', rule: 'second' },
        { from: 'absent', to: 'of a newer server', rule: 'unknown' },
      ],
    },
    'wide',
  );
  expect(edges).toMatchObject([{ from: 'absent', to: 'ready.active', rules: ['first', 'second'] }]);
});

test('on a telephone held upright the drawing is no wider than the screen', () => {
  expect(layoutMachine(everything, 'tall').width).toBeLessThanOrEqual(390);
});

function isWithin(inner: Box, outer: Box): boolean {
  return (
    inner.x >= outer.x &&
    inner.y >= outer.y &&
    inner.x + inner.width <= outer.x + outer.width &&
    inner.y + inner.height <= outer.y + outer.height
  );
}

function meets(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function isOnBorder({ x, y }: { x: number; y: number }, box: Box): boolean {
  const near = (a: number, b: number): boolean => Math.abs(a - b) < 0.2;
  const onSide = near(x, box.x) || near(x, box.x + box.width);
  const onEnd = near(y, box.y) || near(y, box.y + box.height);
  const between = x >= box.x - 0.2 && x <= box.x + box.width + 0.2 && y >= box.y - 0.2 && y <= box.y + box.height + 0.2;
  return between && (onSide || onEnd);
}
