import { type ClassRollout, type ImagePull, type RolloutView, waitsFor } from '#shared/rollout.ts';
import { api } from '../api.ts';
import { useAsked } from '../live/use-asked.ts';
import { hrefOf } from '../route.ts';
import { RelativeTime } from '../ui/time.tsx';

const lookEveryMs = 10_000;
/** As much of an image's id as people are shown. */
const shortIdLength = 12;

/** How newer images and classes reach boxes: of each class how many are as they would be made now, and who keeps the others. */
export function RolloutCard() {
  const { answer, problem } = useAsked((signal) => api.rollout(signal), lookEveryMs, '');
  return (
    <section className={answer?.pause.paused === true ? 'card card-warn' : 'card'} aria-label="Rollout">
      <h2>Rollout of images and classes</h2>
      {problem !== null && <p className="problem">{problem}</p>}
      {answer === null && problem === null && <p className="quiet">Asking …</p>}
      {answer !== null && <Rollout view={answer} />}
    </section>
  );
}

function Rollout({ view: { mode, pause, pulls, classes } }: { readonly view: RolloutView }) {
  return (
    <>
      {pause.paused && (
        <p>
          <strong>Paused</strong> by {pause.by}, <RelativeTime at={pause.since} />
          {pause.reason !== '' && `: “${pause.reason}”`}. No box is replaced; new ones are made as ever.
        </p>
      )}
      <ul className="plans">
        {classes.map((one) => (
          <li key={one.class}>
            <strong>{one.class}</strong>
            <ClassText one={one} whileUnheld={waitsFor({ mode, pause })} />
          </li>
        ))}
      </ul>
      {pulls !== null && (
        <p className="quiet">
          Images pulled again for {pulls.by}, <RelativeTime at={pulls.askedAt} />:{' '}
          {pulls.images.length === 0 ? 'not begun yet' : pulls.images.map(pullText).join('; ')}
        </p>
      )}
    </>
  );
}

function ClassText({ one, whileUnheld }: { readonly one: ClassRollout; readonly whileUnheld: string }) {
  const { image, imageId, upToDate, waiting, replacing } = one;
  return (
    <div className="plan">
      <p>
        <code>{image}</code>{' '}
        <span className={imageId === null ? 'problem' : 'quiet'}>
          {imageId === null ? 'is not there' : imageId.replace(/^sha256:/, '').slice(0, shortIdLength)}
        </span>
      </p>
      <p className="quiet">
        {upToDate} up to date, {waiting.length} of before, {replacing.length} being replaced
      </p>
      {waiting.map(({ user, fields, heldBy }) => (
        <p key={user}>
          <a href={hrefOf({ at: 'box', user })}>{user}</a>{' '}
          <span className="quiet">
            differs in {fields.join(', ')}; waits for {heldBy.length > 0 ? heldBy.join(', ') : whileUnheld}
          </span>
        </p>
      ))}
    </div>
  );
}

function pullText({ image, state, message }: ImagePull): string {
  return message === '' ? `${image} ${state}` : `${image} ${state}: ${message}`;
}
