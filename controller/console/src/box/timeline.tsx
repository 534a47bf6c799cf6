import type { BoxEventView } from '#shared/api-schemas.ts';
import { RelativeTime } from '../ui/time.tsx';

/** What Spoonbox did by itself needs no name. */
const ownName = 'spoonbox';

/** What happened, the newest first, which is read aloud. */
export function Timeline({ events }: { readonly events: readonly BoxEventView[] }) {
  return (
    <section className="card" aria-label="Timeline">
      <h2>Timeline</h2>
      {events.length === 0 && <p className="quiet">Nothing has happened yet.</p>}
      <p className="visually-hidden" role="status">
        {events[0] !== undefined && `${events[0].reason}: ${events[0].message}`}
      </p>
      <ol className="timeline">
        {events.map(({ id, at, reason, message, by, edge }) => (
          <li key={id}>
            <span className="quiet timeline-at">
              <RelativeTime at={at} />
            </span>
            <span>
              <strong>{reason}</strong> {message}
              {by !== '' && by !== ownName && <span className="quiet"> by {by}</span>}
              {edge !== null && edge.from !== edge.to && (
                <span className="timeline-edge">
                  {edge.from} → {edge.to}
                </span>
              )}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
