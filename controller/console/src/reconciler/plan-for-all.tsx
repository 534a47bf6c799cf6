import { useState } from 'react';
import { api } from '../api.ts';
import { useAsked } from '../live/use-asked.ts';
import { hrefOf } from '../route.ts';
import { PlanText } from './plan-text.tsx';

const lookEveryMs = 5_000;

/** What the next pass would do to every box; first those to which it would do something. */
export function PlanForAll() {
  const { answer, problem } = useAsked((signal) => api.plan(null, signal), lookEveryMs, '');
  const [isAll, setAll] = useState(false);
  const plans = answer ?? [];
  const acting = plans.filter(({ command }) => command !== 'none');
  const shown = isAll ? [...acting, ...plans.filter(({ command }) => command === 'none')] : acting;
  return (
    <section className="card" aria-label="Plan">
      <h2>
        What the next passes would do <span className="count">{acting.length}</span>
      </h2>
      {problem !== null && <p className="problem">{problem}</p>}
      {answer !== null && acting.length === 0 && (
        <p className="quiet">Nothing: every box is as it ought to be, or waits for a time.</p>
      )}
      <ul className="plans">
        {shown.map((plan) => (
          <li key={plan.user}>
            <a href={hrefOf({ at: 'box', user: plan.user })}>{plan.user}</a>
            <PlanText plan={plan} />
          </li>
        ))}
      </ul>
      {plans.length > acting.length && (
        <button type="button" className="plain" aria-expanded={isAll} onClick={() => setAll(!isAll)}>
          {isAll ? 'Only those that change' : `Also those that stay as they are: ${plans.length - acting.length}`}
        </button>
      )}
    </section>
  );
}
