import { useStore } from '../store.ts';
import { session } from './session.ts';

/** What somebody without a session sees. */
export function LogInPage() {
  const state = useStore(session);
  const why = state.is === 'out' ? state.why : '';
  return (
    <main className="log-in">
      <h1>
        <img src="favicon.svg" alt="" width="36" height="36" /> Spoonbox
      </h1>
      {why !== '' && (
        <p role="alert" className="note note-warn">
          {why}
        </p>
      )}
      <p>You need a link to get in. On the machine where Spoonbox runs, type</p>
      <pre>
        <code>npx spoonbox console</code>
      </pre>
      <p className="quiet">
        and open what it prints. <code>npm start</code> prints one too. A link works once, for five minutes.
      </p>
    </main>
  );
}
