import { humanDuration } from '#shared/human-time.ts';
import type { BoxView } from '#shared/api-schemas.ts';
import { api } from '../api.ts';
import { useAsked } from '../live/use-asked.ts';
import { stateOf } from '../machine/machine-view.tsx';
import { PlanText } from '../reconciler/plan-text.tsx';

const lookEveryMs = 5_000;

/** What the next pass would do, and why. Asking changes nothing. */
export function BoxPlan({ box }: { readonly box: BoxView }) {
  const because = `${stateOf(box)} ${box.containerId} ${box.leases.length} ${box.desired?.generation}`;
  const { answer, problem } = useAsked((signal) => api.plan(box.user, signal), lookEveryMs, because);
  const plan = answer?.[0];
  return (
    <section className="card" aria-label="Next pass">
      <h2>What the next pass would do</h2>
      {problem !== null && <p className="problem">{problem}</p>}
      {plan === undefined && problem === null && <p className="quiet">Asking …</p>}
      {plan !== undefined && (
        <>
          <PlanText plan={plan} />
          <p className="quiet">
            {plan.nextLookMs === null
              ? 'No look is due unless something happens.'
              : `If nothing happens, the look after that is due in ${humanDuration(plan.nextLookMs)}.`}
          </p>
        </>
      )}
    </section>
  );
}
