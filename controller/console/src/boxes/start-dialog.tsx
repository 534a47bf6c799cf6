import { type FormEvent, useId, useState } from 'react';
import { UserName } from '#shared/identity.ts';
import { api, wordsOf } from '../api.ts';
import { useAsked } from '../live/use-asked.ts';
import { whoIsHere } from '../session/who-is-here.ts';
import { goToTerminal } from '../terminal/tabs.ts';
import { Dialog } from '../ui/dialog.tsx';
import { pin, pinTimes } from './pin.ts';

const withTerminal = 'terminal';
const withinMs = 30_000;

/**
 * A box is started for whoever holds it, so this asks how it is to be held: by a terminal that opens now, or by a pin. Not by a
 * job's lease: a page that is closed could not renew it.
 */
export function StartDialog({
  onClose,
  onStarted,
}: {
  readonly onClose: () => void;
  readonly onStarted: (user: string) => void;
}) {
  const ids = { user: useId(), hold: useId(), class: useId(), problem: useId() };
  const [user, setUser] = useState('');
  const [hold, setHold] = useState(withTerminal);
  const [boxClass, setBoxClass] = useState('');
  const [problem, setProblem] = useState('');
  const classes = useAsked((signal) => api.classes(signal), null, '').answer ?? [];

  const start = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const name = UserName.safeParse(user.trim());
    if (!name.success) {
      setProblem(name.error.issues[0]?.message ?? 'this is no user name');
      return;
    }
    if (hold === withTerminal) {
      onClose();
      goToTerminal(name.data);
      return;
    }
    try {
      const chosen = boxClass === '' ? null : boxClass;
      await pin(name.data, whoIsHere(), Number(hold), chosen, AbortSignal.timeout(withinMs));
      onStarted(name.data);
    } catch (error) {
      setProblem(wordsOf(error));
    }
  };

  return (
    <Dialog title="Start a box" onClose={onClose}>
      <form onSubmit={start} className="form">
        <label htmlFor={ids.user}>For the user</label>
        <input
          id={ids.user}
          value={user}
          onChange={(event) => setUser(event.target.value)}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          aria-describedby={ids.problem}
          aria-invalid={problem !== ''}
        />
        <label htmlFor={ids.hold}>Keep it</label>
        <select id={ids.hold} value={hold} onChange={(event) => setHold(event.target.value)}>
          <option value={withTerminal}>while a terminal is open, which opens now</option>
          {pinTimes.map(({ ms, text }) => (
            <option key={ms} value={ms}>
              for {text}, by a pin
            </option>
          ))}
        </select>
        {hold !== withTerminal && classes.length > 1 && (
          <>
            <label htmlFor={ids.class}>Class</label>
            <select id={ids.class} value={boxClass} onChange={(event) => setBoxClass(event.target.value)}>
              <option value="">as it is, or the default one</option>
              {classes.map(({ name, description }) => (
                <option key={name} value={name}>
                  {description === '' ? name : `${name}: ${description}`}
                </option>
              ))}
            </select>
          </>
        )}
        <p id={ids.problem} role="alert" className="problem">
          {problem}
        </p>
        <div className="dialog-buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="primary">
            Start
          </button>
        </div>
      </form>
    </Dialog>
  );
}
