import { useState } from 'react';
import { api } from '../api.ts';
import { useAsked } from '../live/use-asked.ts';
import { type Confirmation, ConfirmDialog } from '../ui/confirm-dialog.tsx';
import { Health } from './health.tsx';
import { ModeCard } from './mode-card.tsx';
import { PlacesCard } from './places-card.tsx';
import { PlanForAll } from './plan-for-all.tsx';
import { RolloutCard } from './rollout-card.tsx';

const lookEveryMs = 2_000;

/** How the loop does, whether it may act, what it would do next to every box, who waits for a place, and what rolls out. */
export function ReconcilerPage() {
  const { answer, problem, again } = useAsked((signal) => api.reconciler(signal), lookEveryMs, '');
  const [asked, setAsked] = useState<Confirmation | null>(null);
  return (
    <section aria-label="Reconciler" className="reconciler">
      <h1>Reconciler</h1>
      {problem !== null && (
        <p role="alert" className="note note-bad">
          {problem}
        </p>
      )}
      {answer === null ? (
        problem === null && <p className="quiet">Asking …</p>
      ) : (
        <div className="reconciler-cards">
          <ModeCard view={answer} onAsk={setAsked} />
          <Health view={answer} />
          <PlacesCard />
        </div>
      )}
      <PlanForAll />
      <RolloutCard />
      {asked !== null && (
        <ConfirmDialog
          asked={asked}
          onClose={() => {
            setAsked(null);
            again();
          }}
        />
      )}
    </section>
  );
}
