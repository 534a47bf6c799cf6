import { useEffect, useState } from 'react';
import { humanDuration } from '#shared/human-time.ts';
import { bytesText } from '../ui/sizes.ts';
import type { PaneState } from './pane-state.ts';

/** What the gateway and the connection have to say; read aloud. */
export function TerminalNotes({
  state,
  onRetry,
  onAgain,
}: {
  readonly state: PaneState;
  readonly onRetry: () => void;
  readonly onAgain: () => void;
}) {
  const { link, text, pull, warning, notice } = state;
  return (
    <div className="terminal-notes" role="status" aria-live="polite">
      {link === 'waiting' && (
        <p className="note">
          {text}
          {pull !== null && (
            <>
              {' '}
              <progress max={pull.totalBytes} value={pull.doneBytes} /> {bytesText(pull.doneBytes)} of{' '}
              {bytesText(pull.totalBytes)}
            </>
          )}
        </p>
      )}
      {link === 'lost' && (
        <p className="note note-warn">
          The connection is lost: {text}. The shell goes on; what you type is sent when it is back.
          <button type="button" onClick={onRetry}>
            Try now
          </button>
        </p>
      )}
      {link === 'closed' && (
        <p className="note note-warn">
          {text}
          <button type="button" className="primary" onClick={onAgain}>
            New terminal
          </button>
        </p>
      )}
      {warning !== null && (
        <p className="note note-warn" role="alert">
          {warning.message} <TimeLeft atMs={warning.atMs} />
        </p>
      )}
      {notice !== '' && link === 'open' && <Notice key={notice} text={notice} />}
    </div>
  );
}

function TimeLeft({ atMs }: { readonly atMs: number }) {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return <span className="number">({humanDuration(atMs - now)})</span>;
}

function Notice({ text }: { readonly text: string }) {
  const [isSeen, setSeen] = useState(false);
  if (isSeen) return null;
  return (
    <p className="note">
      {text}
      <button type="button" className="plain" aria-label="Dismiss" onClick={() => setSeen(true)}>
        ×
      </button>
    </p>
  );
}
