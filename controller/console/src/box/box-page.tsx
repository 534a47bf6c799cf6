import { useState } from 'react';
import { api } from '../api.ts';
import { live } from '../live/live.ts';
import { useAsked } from '../live/use-asked.ts';
import { useEvents } from '../live/use-events.ts';
import { useUsageLooks } from '../live/usage.ts';
import { MachineView } from '../machine/machine-view.tsx';
import { useMay } from '../session/may.tsx';
import { useStore } from '../store.ts';
import { goToTerminal } from '../terminal/tabs.ts';
import { type Confirmation, ConfirmDialog } from '../ui/confirm-dialog.tsx';
import { useKeys } from '../ui/use-keys.ts';
import { BoxActions } from './box-actions.tsx';
import { BoxPlan } from './box-plan.tsx';
import { BoxSummary } from './box-summary.tsx';
import { Conditions } from './conditions.tsx';
import { Leases } from './leases.tsx';
import { Sessions } from './sessions.tsx';
import { Timeline } from './timeline.tsx';

/** Everything of one box: why it is alive, what it went through, what comes next, and what can be done. */
export function BoxPage({ user }: { readonly user: string }) {
  const { boxes, isSynced } = useStore(live);
  const box = boxes.get(user);
  const events = useEvents(user);
  const machine = useAsked((signal) => api.machine(signal), null, '').answer;
  const [asked, setAsked] = useState<Confirmation | null>(null);
  const mayOpen = useMay('admin');
  useUsageLooks();
  useKeys({ t: () => goToTerminal(user) }, mayOpen);

  if (box === undefined) {
    return (
      <section aria-label={`The box of ${user}`} className="empty">
        <h1>{user}</h1>
        <p className="quiet">{isSynced ? 'Nothing is known of this user: no box, no lease, no wish.' : 'Reading …'}</p>
        {isSynced && mayOpen && (
          <button type="button" className="primary" onClick={() => goToTerminal(user)}>
            Open a terminal, which starts a box
          </button>
        )}
      </section>
    );
  }
  return (
    <section aria-label={`The box of ${user}`} className="box">
      <BoxSummary box={box}>
        <BoxActions box={box} onAsk={setAsked} />
      </BoxSummary>
      <div className="box-columns">
        <div className="box-column">
          <section className="card card-machine" aria-label="State machine">
            <h2>State machine</h2>
            {machine === null ? (
              <p className="quiet">Reading …</p>
            ) : (
              <MachineView machine={machine} box={box} events={events} />
            )}
          </section>
          <Conditions box={box} />
        </div>
        <div className="box-column">
          <BoxPlan box={box} />
          <Leases box={box} onAsk={setAsked} />
          <Sessions box={box} />
          <Timeline events={events} />
        </div>
      </div>
      {asked !== null && <ConfirmDialog asked={asked} onClose={() => setAsked(null)} />}
    </section>
  );
}
