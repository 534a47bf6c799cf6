import type { PlanView } from '#shared/operator-schemas.ts';

/** One plan: what would be done, the state after it, and the rule that decides. */
export function PlanText({ plan }: { readonly plan: PlanView }) {
  const now = stateText(plan);
  const next = stateText(plan.next);
  return (
    <div className={plan.command === 'none' ? 'plan' : 'plan plan-acts'}>
      <p>
        <strong>{plan.does === '' ? 'Nothing' : plan.does}</strong>
        {now !== next && (
          <span className="rule-to">
            {' '}
            {now} → {next}
          </span>
        )}
      </p>
      <p>
        <span className="quiet">because</span> {plan.rule}
      </p>
      {plan.message !== '' && <p className="quiet">{plan.message}</p>}
    </div>
  );
}

function stateText({ phase, step }: Pick<PlanView, 'phase' | 'step'>): string {
  return step === null ? phase : `${phase}.${step}`;
}
