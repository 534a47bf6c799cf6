import type { ReactNode } from 'react';
import type { BoxView } from '#shared/api-schemas.ts';
import { PhaseBadge } from '../ui/phase-badge.tsx';
import { bytesText } from '../ui/sizes.ts';
import { Countdown, RelativeTime } from '../ui/time.tsx';
import { UsageSparklines } from '../ui/usage-sparklines.tsx';

/** Why the box is alive, and until when: the first thing that anybody asks. */
export function BoxSummary({ box, children }: { readonly box: BoxView; readonly children: ReactNode }) {
  const { user, phase, step, message, why, until, progress, readyAt, containerId } = box;
  const drift = box.conditions.find(({ reason }) => reason === 'SpecDrift');
  return (
    <header className="summary">
      <div className="summary-head">
        <h1>{user}</h1>
        <span role="status">
          <PhaseBadge phase={phase} step={step} />
        </span>
        {children}
      </div>
      {progress !== null && progress.totalBytes > 0 && (
        <label className="progress">
          <progress max={progress.totalBytes} value={progress.doneBytes} />
          {progress.image}: {bytesText(progress.doneBytes)} of {bytesText(progress.totalBytes)}
        </label>
      )}
      <ul className="why" aria-label="Why">
        {why.length === 0 ? <li>{message}</li> : why.map((sentence) => <li key={sentence}>{sentence}</li>)}
      </ul>
      {drift !== undefined && <p className="note note-warn">It is not as it would be made now: {drift.message}.</p>}
      <dl className="facts">
        <div>
          <dt>Kept for</dt>
          <dd>{until === null ? '–' : <Countdown until={until} />}</dd>
        </div>
        <div>
          <dt>Class</dt>
          <dd>{box.class ?? '–'}</dd>
        </div>
        <div>
          <dt>Ready since</dt>
          <dd>{readyAt === null ? '–' : <RelativeTime at={readyAt} />}</dd>
        </div>
        <div>
          <dt>Container</dt>
          <dd>{containerId === null ? '–' : <code title={containerId}>{containerId.slice(0, 12)}</code>}</dd>
        </div>
        <div>
          <dt>Home</dt>
          <dd>
            <HomeText home={box.home} />
          </dd>
        </div>
        <div>
          <dt>Uses</dt>
          <dd>
            <UsageSparklines user={user} />
          </dd>
        </div>
      </dl>
    </header>
  );
}

/** With its age, and what went wrong since in the tip. */
function HomeText({ home }: Pick<BoxView, 'home'>) {
  if (home === null || home.usedBytes === null || home.measuredAt === null) return <span title={home?.problem}>–</span>;
  const { usedBytes, isWhole, quotaBytes, measuredAt, problem } = home;
  return (
    <span title={problem}>
      {isWhole ? '' : 'at least '}
      {bytesText(usedBytes)}
      {quotaBytes === null ? '' : ` of ${bytesText(quotaBytes)}`},{' '}
      <span className="quiet">
        measured <RelativeTime at={measuredAt} />
      </span>
    </span>
  );
}
