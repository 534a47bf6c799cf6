import { useStore } from '../store.ts';
import { forget, news } from './news.ts';

/** Read aloud as it comes; never takes the focus. */
export function NewsList() {
  const items = useStore(news);
  return (
    <div className="news" role="status" aria-live="polite">
      {items.map(({ id, text, isProblem }) => (
        <div key={id} className={isProblem ? 'note note-bad' : 'note'}>
          <span>{text}</span>
          <button type="button" className="plain" aria-label="Dismiss" onClick={() => forget(id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
