import type { DrawnEdge, MachineDrawing as Drawing } from './layout.ts';
import { phaseOf } from './layout.ts';
import type { Looked } from './machine-view.tsx';
import { edgeKey, type Taken } from './taken.ts';

/** States can be focused; edges are looked into with the pointer, and with the keys by the states that they leave. */
export function MachineDrawing({
  drawing,
  present,
  taken,
  looked,
  onLook,
}: {
  readonly drawing: Drawing;
  readonly present: string;
  readonly taken: readonly Taken[];
  readonly looked: Looked | null;
  readonly onLook: (looked: Looked | null) => void;
}) {
  const order = new Map(taken.map((edge) => [edgeKey(edge), edge.order]));
  // What is brighter is drawn later, so that nothing faint crosses it.
  const edges = drawing.edges.toSorted((a, b) => weightOf(a) - weightOf(b));

  function weightOf(edge: DrawnEdge): number {
    if (isLooked(edge)) return 1_000;
    return order.get(edgeKey(edge)) ?? (edge.from === present ? 0.5 : 0);
  }
  function isLooked({ from, to }: DrawnEdge): boolean {
    if (looked === null) return false;
    return looked.is === 'state' ? from === looked.state : from === looked.from && to === looked.to;
  }
  function classOf(edge: DrawnEdge): string {
    const number = order.get(edgeKey(edge));
    const classes = ['edge'];
    if (edge.from === present) classes.push('edge-next');
    if (number !== undefined) classes.push('edge-taken');
    if (number === taken.length) classes.push('edge-last');
    if (isLooked(edge)) classes.push('edge-looked');
    return classes.join(' ');
  }

  return (
    <svg
      className="machine-drawing"
      viewBox={`0 0 ${drawing.width} ${drawing.height}`}
      width={drawing.width}
      height={drawing.height}
      role="group"
      aria-label={`The state machine: the box is in ${present}`}
    >
      <defs>
        {['line', 'next', 'taken', 'looked'].map((kind) => (
          <marker
            key={kind}
            id={`arrow-${kind}`}
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="6"
            markerHeight="6"
            orient="auto"
          >
            <path d="M0 0.8 7.5 4 0 7.2Z" className={`arrow arrow-${kind}`} />
          </marker>
        ))}
      </defs>
      {drawing.phases.map(({ phase, x, y, width, height }) => (
        <g key={phase} className={`machine-phase phase-${phase}`}>
          <rect x={x} y={y} width={width} height={height} rx="8" />
        </g>
      ))}
      {edges.map((edge) => (
        <g
          key={edgeKey(edge)}
          className={classOf(edge)}
          aria-hidden="true"
          onPointerEnter={() => onLook({ is: 'edge', from: edge.from, to: edge.to })}
          onPointerLeave={() => onLook(null)}
        >
          <path d={edge.path} className="edge-line" />
          <path d={edge.path} className="edge-reach" />
        </g>
      ))}
      {drawing.phases.map(({ phase, x, y }) => (
        // Over the edges, which may pass where a name stands.
        <text key={phase} className={`phase-name phase-${phase}`} x={x + 2} y={y - 5}>
          {phase}
        </text>
      ))}
      {drawing.states.map(({ state, text, x, y, width, height }) => (
        <g
          key={state}
          className={`state phase-${phaseOf(state)}${state === present ? ' state-present' : ''}`}
          role="img"
          tabIndex={0}
          aria-label={state === present ? `${state}, the present state` : state}
          aria-current={state === present ? 'step' : undefined}
          data-state={state}
          onFocus={() => onLook({ is: 'state', state })}
          onBlur={() => onLook(null)}
          onPointerEnter={() => onLook({ is: 'state', state })}
          onPointerLeave={() => onLook(null)}
        >
          <rect x={x} y={y} width={width} height={height} rx="6" />
          <text x={x + width / 2} y={y + height / 2}>
            {text}
          </text>
        </g>
      ))}
      {drawing.edges.flatMap((edge) => {
        const number = order.get(edgeKey(edge));
        if (number === undefined) return [];
        return (
          <g key={edgeKey(edge)} className="edge-number" aria-hidden="true">
            <circle cx={edge.label.x} cy={edge.label.y} r="7.5" />
            <text x={edge.label.x} y={edge.label.y}>
              {number}
            </text>
          </g>
        );
      })}
    </svg>
  );
}
