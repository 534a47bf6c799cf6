import { useStore } from '../store.ts';
import { connection, retryNow } from './live.ts';

/** What is seen is not of now: told as soon as it is so, and until it is over. */
export function ConnectionBanner() {
  const state = useStore(connection);
  return (
    <div role="status" aria-live="polite" className="banner-place">
      {state.is === 'lost' && (
        <div className="banner">
          <span>
            What you see is not up to date: {state.why}. Trying again in{' '}
            {Math.max(1, Math.round(state.retryInMs / 1_000))} s.
          </span>
          <button type="button" onClick={retryNow}>
            Try now
          </button>
        </div>
      )}
    </div>
  );
}
