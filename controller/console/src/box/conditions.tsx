import type { BoxView } from '#shared/api-schemas.ts';
import type { Condition, Phase } from '#shared/status.ts';
import { api } from '../api.ts';
import { useAsked } from '../live/use-asked.ts';
import { RelativeTime } from '../ui/time.tsx';

/** True is well for all of them but this one; whether a box is idle is neither good nor bad. */
const badWhenTrue = new Set(['NameTaken']);
const neutral = new Set(['Idle']);
/** What is not well with these is so whatever the box does; the others are only on their way while it is made or not wanted. */
const outside = new Set(['NameTaken', 'EngineReachable', 'HomeUsage']);

/** Each condition with its reason; where it is not well, also what the reason means and what to do, if there is something. */
export function Conditions({ box: { conditions, phase } }: { readonly box: BoxView }) {
  const reasons = useAsked((signal) => api.reasons(signal), null, '').answer ?? [];
  return (
    <section className="card" aria-label="Conditions">
      <h2>Conditions</h2>
      {conditions.length === 0 && <p className="quiet">None yet: no pass has looked at it.</p>}
      <ul className="conditions">
        {conditions.map((condition) => {
          const { type, status, reason, message, since } = condition;
          const text = reasons.find((known) => known.reason === reason);
          const health = healthOf(condition, phase);
          return (
            <li key={type} className={`condition condition-${health}`}>
              <span className="condition-sign" aria-hidden="true">
                {health === 'well' ? '✓' : health === 'ill' ? '!' : '·'}
              </span>
              <div>
                <p className="condition-head">
                  <strong>{type}</strong> <span className="condition-status">{status}</span> <code>{reason}</code>{' '}
                  <span className="quiet">
                    <RelativeTime at={since} />
                  </span>
                </p>
                {message !== '' && <p>{message}</p>}
                {text !== undefined && health !== 'well' && text.whatToDo !== '' && (
                  <p className="quiet">
                    {text.means} {text.whatToDo}
                  </p>
                )}
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function healthOf({ type, status, reason }: Condition, phase: Phase): 'well' | 'ill' | 'neutral' {
  if (neutral.has(type) || status === 'Unknown' || reason === 'NotChecked') return 'neutral';
  const isWell = (status === 'True') !== badWhenTrue.has(type);
  if (isWell) return 'well';
  return outside.has(type) || phase === 'failed' || phase === 'ready' ? 'ill' : 'neutral';
}
