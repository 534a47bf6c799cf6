import type { MachineView as Machine } from '#shared/operator-schemas.ts';
import type { Looked } from './machine-view.tsx';
import { edgeKey, type Taken } from './taken.ts';

/** The rules of a state in the order in which it asks, or those of one edge; and the way that the box took, in words. */
export function RulesPanel({
  machine,
  present,
  taken,
  looked,
}: {
  readonly machine: Machine;
  readonly present: string;
  readonly taken: readonly Taken[];
  readonly looked: Looked;
}) {
  const from = looked.is === 'state' ? looked.state : looked.from;
  const rules = machine.edges.filter((edge) => edge.from === from && (looked.is === 'state' || edge.to === looked.to));
  const title = looked.is === 'state' ? from : `${from} → ${looked.to}`;
  const order = new Map(taken.map((edge) => [edgeKey(edge), edge.order]));
  return (
    <div className="rules">
      <h3>
        {title}
        {looked.is === 'state' && from === present && <span className="quiet"> now; asks, in this order</span>}
      </h3>
      <ol>
        {rules.map(({ rule, to }) => (
          <li key={`${to} ${rule}`}>
            {rule}{' '}
            <span className="rule-to">
              {to === null || to === from ? 'stays' : `→ ${to}`}
              {to !== null && order.has(edgeKey({ from, to })) && (
                <span className="edge-badge">{order.get(edgeKey({ from, to }))}</span>
              )}
            </span>
          </li>
        ))}
      </ol>
      <h3>
        The way here<span className="quiet"> the last step first</span>
      </h3>
      {taken.length === 0 ? (
        <p className="quiet">No step is recorded yet.</p>
      ) : (
        <ol className="taken">
          {taken.toReversed().map((edge) => (
            <li key={edge.order} value={edge.order}>
              <span className="rule-to">
                {edge.from} → {edge.to}
              </span>{' '}
              <span className="quiet">{edge.rule}</span>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
