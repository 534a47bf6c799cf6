import type { BoxView } from '#shared/api-schemas.ts';
import { goTo } from '../navigation.ts';
import { May } from '../session/may.tsx';
import { RelativeTime } from '../ui/time.tsx';

/** The terminals that are open in the box: they can be looked at without a word, or joined. */
export function Sessions({ box }: { readonly box: BoxView }) {
  const { user, sessions } = box;
  const open = (session: string, readOnly: boolean): void => goTo({ at: 'terminal', user, session, readOnly });
  return (
    <section className="card" aria-label="Sessions">
      <h2>
        Terminals <span className="count">{sessions.length}</span>
      </h2>
      {sessions.length === 0 && <p className="quiet">None is open.</p>}
      <ul className="rows">
        {sessions.map(({ id, startedAt, detachedAt, record, persist }) => (
          <li key={id}>
            <span className="grow">
              <code>{id}</code>{' '}
              <span className="quiet">
                begun <RelativeTime at={startedAt} />
                {detachedAt > 0 && (
                  <>
                    , left <RelativeTime at={detachedAt} />
                  </>
                )}
                {persist !== 'none' && `, under ${persist}`}
                {record !== 'off' && `, ${record} is recorded`}
              </span>
            </span>
            <May be="admin">
              <button type="button" className="plain" aria-label={`Watch ${id}`} onClick={() => open(id, true)}>
                Watch
              </button>
              <button type="button" className="plain" aria-label={`Join ${id}`} onClick={() => open(id, false)}>
                Join
              </button>
            </May>
          </li>
        ))}
      </ul>
    </section>
  );
}
