import type { MachineView } from '#shared/operator-schemas.ts';
import { middleOf, type Point, smoothPath } from './edge-path.ts';
import { createTracks, type Metrics, type Place, routeEdge } from './route-edge.ts';

/**
 * Where the states and edges of the machine are drawn, from its definition alone. A phase with steps is a lane of its own;
 * those without share the first one. `wide` puts the lanes beside each other, `tall` one below the other. Pure.
 */
export interface MachineDrawing {
  readonly width: number;
  readonly height: number;
  readonly phases: readonly (Box & { readonly phase: string })[];
  readonly states: readonly (Box & { readonly state: string; readonly text: string })[];
  readonly edges: readonly DrawnEdge[];
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface DrawnEdge {
  readonly from: string;
  readonly to: string;
  /** those that lead there, in the order in which they are asked */
  readonly rules: readonly string[];
  readonly path: string;
  /** where a number of it can be written */
  readonly label: Point;
}

export type Direction = 'wide' | 'tall';

const metricsOf: Readonly<Record<Direction, Metrics>> = {
  wide: { along: 96, across: 30, laneGap: 84, stateGap: 18, trackGap: 7, margin: 10, title: 18 },
  tall: { along: 30, across: 72, laneGap: 58, stateGap: 8, trackGap: 5, margin: 8, title: 0 },
};

export function layoutMachine(machine: MachineView, direction: Direction): MachineDrawing {
  const metrics = metricsOf[direction];
  const lanes = lanesOf(machine.states);
  const connections = connectionsOf(machine);
  const acrossOf = (count: number): number => count * metrics.across + (count - 1) * metrics.stateGap;
  const deepest = Math.max(...lanes.map(({ length }) => acrossOf(length)));
  const tracks = createTracks(deepest, metrics);
  const places = new Map<string, Place>();
  for (const [lane, states] of lanes.entries()) {
    // The first lane reaches from one end to the other: what is in it has little to do with each other.
    const gap =
      lane === 0 && states.length > 1 ? (deepest - states.length * metrics.across) / (states.length - 1) : null;
    const start = gap === null ? (deepest - acrossOf(states.length)) / 2 : 0;
    for (const [row, state] of states.entries()) {
      const across = start + row * (metrics.across + (gap ?? metrics.stateGap));
      places.set(state, { lane, along: lane * (metrics.along + metrics.laneGap), across });
    }
  }

  const routed = connections.flatMap(({ from, to, rules }) => {
    const [a, b] = [places.get(from), places.get(to)];
    return a && b ? [{ from, to, rules, points: routeEdge({ from: a, to: b, target: to }, tracks, metrics) }] : [];
  });
  const before = tracks.depth('before') + metrics.margin + metrics.title;
  const after = tracks.depth('after') + metrics.margin;
  const alongMargin = metrics.margin + metrics.laneGap / 3;
  const alongSize = lanes.length * (metrics.along + metrics.laneGap) - metrics.laneGap + 2 * alongMargin;
  const acrossSize = deepest + before + after;
  const at = (along: number, across: number): Point => {
    const [a, b] = [along + alongMargin, across + before];
    return direction === 'wide' ? { x: a, y: b } : { x: b, y: a };
  };
  const boxAt = (along: number, across: number, alongLength: number, acrossLength: number): Box => {
    const [width, height] = direction === 'wide' ? [alongLength, acrossLength] : [acrossLength, alongLength];
    return { ...at(along, across), width, height };
  };

  return {
    width: direction === 'wide' ? alongSize : acrossSize,
    height: direction === 'wide' ? acrossSize : alongSize,
    phases: lanes.slice(1).map((states) => {
      const own = states.flatMap((state) => places.get(state) ?? []);
      const first = own[0] ?? { along: 0, across: 0 };
      const pad = 6;
      return {
        phase: phaseOf(states[0] ?? ''),
        ...boxAt(first.along - pad, first.across - pad, metrics.along + 2 * pad, acrossOf(states.length) + 2 * pad),
      };
    }),
    states: [...places].map(([state, { along, across }]) => ({
      state,
      text: state.slice(state.indexOf('.') + 1),
      ...boxAt(along, across, metrics.along, metrics.across),
    })),
    edges: routed.map(({ from, to, rules, points }) => {
      const mapped = points.map(([along, across]) => at(along, across));
      return { from, to, rules, path: smoothPath(mapped), label: middleOf(mapped) };
    }),
  };
}

export function phaseOf(state: string): string {
  return state.split('.')[0] ?? state;
}

/** In the first lane the phases without steps, then each phase with its steps, in the machine's order. */
function lanesOf(states: readonly string[]): string[][] {
  const single = states.filter((state) => !state.includes('.'));
  const phases = [...new Set(states.filter((state) => state.includes('.')).map(phaseOf))];
  return [single, ...phases.map((phase) => states.filter((state) => state.includes('.') && phaseOf(state) === phase))];
}

/** All rules from one state to another are one edge. What stays where it is is not drawn. */
function connectionsOf({ edges }: MachineView): { from: string; to: string; rules: string[] }[] {
  const byEnds = new Map<string, { from: string; to: string; rules: string[] }>();
  for (const { from, to, rule } of edges) {
    if (to === null || to === from) continue;
    const key = `${from} ${to}`;
    const known = byEnds.get(key);
    if (known) known.rules.push(rule);
    else byEnds.set(key, { from, to, rules: [rule] });
  }
  return [...byEnds.values()];
}
