import type { ReconcilerMode, ReconcilerView } from '#shared/operator-schemas.ts';
import { api } from '../api.ts';
import { May } from '../session/may.tsx';
import type { Confirmation } from '../ui/confirm-dialog.tsx';
import { RelativeTime } from '../ui/time.tsx';
import { ReasonField, type ReasonGiven } from './reason-field.tsx';

const meanings: Readonly<Record<ReconcilerMode, { readonly does: string; readonly verb: string }>> = {
  run: { verb: 'Run', does: 'Boxes are started, kept and reaped as they are needed.' },
  drain: {
    verb: 'Drain',
    does: 'No new box is made; whoever asks for one waits. Boxes that are there go on, and are reaped when nobody needs them.',
  },
  pause: {
    verb: 'Pause',
    does: 'Nothing is started, stopped or removed, whatever happens; also no operator is obeyed. What runs goes on.',
  },
};
const modes: readonly ReconcilerMode[] = ['run', 'drain', 'pause'];

/** What the reconciler may do. A change is asked about, and says for whom it is meant. */
export function ModeCard({
  view,
  onAsk,
}: {
  readonly view: ReconcilerView;
  readonly onAsk: (asked: Confirmation) => void;
}) {
  const { mode } = view;
  const ask = (to: ReconcilerMode): void => {
    const given: ReasonGiven = { reason: '' };
    onAsk({
      title: `${meanings[to].verb} the reconciler?`,
      body: (
        <>
          <p>{meanings[to].does}</p>
          {to !== 'run' && <ReasonField given={given} />}
        </>
      ),
      doIt: meanings[to].verb,
      isDanger: to === 'pause',
      async run(signal) {
        const reason = given.reason.trim();
        await api.setMode({ mode: to, ...(reason === '' ? {} : { reason }) }, signal);
        return `The reconciler's mode is ${to}.`;
      },
    });
  };
  return (
    <section className={`card mode mode-${mode.mode}`} aria-label="Mode">
      <h2>Mode</h2>
      <p>
        <strong className="mode-name">{mode.mode}</strong>{' '}
        {mode.by !== '' && (
          <span className="quiet">
            by {mode.by}, <RelativeTime at={mode.since} />
          </span>
        )}
      </p>
      {mode.reason !== '' && <p>“{mode.reason}”</p>}
      <p className="quiet">{meanings[mode.mode].does}</p>
      <May be="admin">
        <fieldset className="actions">
          <legend className="visually-hidden">Change the mode</legend>
          {modes
            .filter((other) => other !== mode.mode)
            .map((other) => (
              <button key={other} type="button" onClick={() => ask(other)}>
                {other === 'run' ? 'Run again' : `${meanings[other].verb} …`}
              </button>
            ))}
        </fieldset>
      </May>
    </section>
  );
}
