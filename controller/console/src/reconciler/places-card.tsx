import type { CapacityView } from '#shared/operator-schemas.ts';
import { api } from '../api.ts';
import { useAsked } from '../live/use-asked.ts';
import { hrefOf } from '../route.ts';
import { bytesText } from '../ui/sizes.ts';
import { RelativeTime } from '../ui/time.tsx';
import { Figure } from './figure.tsx';

const lookEveryMs = 5_000;

/** How many boxes may be there, and who waits in line for a place. */
export function PlacesCard() {
  const { answer, problem } = useAsked((signal) => api.capacity(signal), lookEveryMs, '');
  const waiting = answer?.waiting ?? [];
  return (
    <section className={waiting.length === 0 ? 'card' : 'card card-warn'} aria-label="Places">
      <h2>Places</h2>
      {problem !== null && <p className="problem">{problem}</p>}
      {answer === null ? problem === null && <p className="quiet">Asking …</p> : <Taken view={answer} />}
      {answer !== null && waiting.length === 0 && <p className="quiet">Nobody waits for one.</p>}
      {waiting.length > 0 && (
        <ol className="line" aria-label="In line">
          {waiting.map(({ user, since, priority, for: leases }) => (
            <li key={user}>
              <a href={hrefOf({ at: 'box', user })}>{user}</a> <span className="quiet">{priority},</span>{' '}
              <span className="quiet">
                <RelativeTime at={since} />
              </span>
              <p className="quiet">{leases.join(', ')}</p>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function Taken({ view: { limits, taken, boxes } }: { readonly view: CapacityView }) {
  const givingWay = boxes.filter(({ givesWayAt }) => givesWayAt !== null).length;
  return (
    <dl className="numbers">
      <Figure label="boxes">{ofMost(String(taken.boxes), limits.boxes, String)}</Figure>
      <Figure label="memory">{ofMost(bytesText(taken.memoryBytes), limits.memoryBytes, bytesText)}</Figure>
      <Figure label="may give way">{givingWay}</Figure>
    </dl>
  );
}

function ofMost(taken: string, most: number | null, textOf: (most: number) => string): string {
  return most === null ? `${taken}, no limit` : `${taken} of ${textOf(most)}`;
}
