import type { RefObject } from 'react';
import { Phase } from '#shared/status.ts';
import type { Boxes } from '../live/boxes.ts';
import { countsOf, type Filter } from './filter.ts';
import { May } from '../session/may.tsx';

/** Filter by words and by phase; each phase says how many boxes are in it. */
export function FilterBar({
  filter,
  boxes,
  field,
  onChange,
  onLeave,
  onStart,
}: {
  readonly filter: Filter;
  readonly boxes: Boxes;
  readonly field: RefObject<HTMLInputElement | null>;
  readonly onChange: (filter: Filter) => void;
  /** the person is done with the words and goes to the boxes */
  readonly onLeave: () => void;
  readonly onStart: () => void;
}) {
  const counts = countsOf(boxes);
  return (
    <div className="filter-bar">
      <input
        ref={field}
        type="search"
        aria-label="Filter boxes"
        placeholder="Filter: user, holder, class …   /"
        value={filter.text}
        onChange={(event) => onChange({ ...filter, text: event.target.value })}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onChange({ ...filter, text: '' });
          if (event.key === 'Escape' || event.key === 'Enter' || event.key === 'ArrowDown') {
            event.preventDefault();
            event.currentTarget.blur();
            onLeave();
          }
        }}
      />
      <fieldset className="phases">
        <legend className="visually-hidden">Phase</legend>
        {Phase.options.map((phase) => (
          <button
            key={phase}
            type="button"
            className={`chip phase-${phase}`}
            aria-pressed={filter.phase === phase}
            onClick={() => onChange({ ...filter, phase: filter.phase === phase ? null : phase })}
          >
            <span className="phase-dot" aria-hidden="true" />
            {phase} <span className="number">{counts.get(phase) ?? 0}</span>
          </button>
        ))}
      </fieldset>
      <May be="admin">
        <button type="button" className="primary" onClick={onStart}>
          Start a box
        </button>
      </May>
    </div>
  );
}
