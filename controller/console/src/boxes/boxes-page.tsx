import { useDeferredValue, useMemo, useRef, useState } from 'react';
import { live } from '../live/live.ts';
import { useUsageLooks } from '../live/usage.ts';
import { goTo } from '../navigation.ts';
import { May, useMay } from '../session/may.tsx';
import { useStore } from '../store.ts';
import { goToTerminal } from '../terminal/tabs.ts';
import { useKeys } from '../ui/use-keys.ts';
import { BoxRow } from './box-row.tsx';
import { filtered, noFilter } from './filter.ts';
import { FilterBar } from './filter-bar.tsx';
import { StartDialog } from './start-dialog.tsx';

/** All boxes, live: a table on a wide screen, cards on a narrow one. */
export function BoxesPage() {
  const { boxes, isSynced } = useStore(live);
  const [filter, setFilter] = useState(noFilter);
  const [chosen, setChosen] = useState<string | null>(null);
  const [isStarting, setStarting] = useState(false);
  const filterField = useRef<HTMLInputElement>(null);
  const mayStart = useMay('admin');
  useUsageLooks();
  const lazily = useDeferredValue(filter);
  const shown = useMemo(() => filtered(boxes, lazily), [boxes, lazily]);
  const index = shown.findIndex(({ user }) => user === chosen);

  const move = (by: number): void => {
    const next = shown[Math.min(shown.length - 1, Math.max(0, index + by))];
    if (next === undefined) return;
    setChosen(next.user);
    document.getElementById(rowIdOf(next.user))?.focus();
  };
  const withChosen = (act: (user: string) => void) => () => {
    if (chosen !== null && index >= 0) act(chosen);
  };
  useKeys({
    '/': () => filterField.current?.focus(),
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    Home: () => move(-shown.length),
    End: () => move(shown.length),
    ...(mayStart && { t: withChosen(goToTerminal), n: () => setStarting(true) }),
    Escape: () => setFilter(noFilter),
  });

  return (
    <section aria-label="Boxes" className="boxes">
      <FilterBar
        filter={filter}
        boxes={boxes}
        field={filterField}
        onChange={setFilter}
        onLeave={() => move(0)}
        onStart={() => setStarting(true)}
      />
      <p className="visually-hidden" role="status">
        {shown.length === boxes.size ? `${boxes.size} boxes` : `${shown.length} of ${boxes.size} boxes match`}
      </p>
      {shown.length > 0 ? (
        <table>
          <thead>
            <tr>
              <th scope="col">User</th>
              <th scope="col">Phase</th>
              <th scope="col">Held by</th>
              <th scope="col">Kept for</th>
              <th scope="col">Uses</th>
              <th scope="col">
                <span className="visually-hidden">Terminal</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((box) => (
              <BoxRow
                key={box.user}
                id={rowIdOf(box.user)}
                box={box}
                isChosen={box.user === chosen}
                onChoose={setChosen}
              />
            ))}
          </tbody>
        </table>
      ) : (
        <Nothing isSynced={isSynced} isFiltered={boxes.size > 0} onStart={() => setStarting(true)} />
      )}
      {isStarting && (
        <StartDialog
          onClose={() => setStarting(false)}
          onStarted={(user) => {
            setStarting(false);
            goTo({ at: 'box', user });
          }}
        />
      )}
    </section>
  );
}

function Nothing({
  isSynced,
  isFiltered,
  onStart,
}: {
  readonly isSynced: boolean;
  readonly isFiltered: boolean;
  readonly onStart: () => void;
}) {
  if (!isSynced) return <p className="empty quiet">Reading the boxes …</p>;
  if (isFiltered) return <p className="empty quiet">No box matches. Esc shows all of them.</p>;
  return (
    <div className="empty">
      <p>Nobody has a box yet. A terminal, a job or a pin starts one.</p>
      <May be="admin">
        <button type="button" className="primary" onClick={onStart}>
          Start a box
        </button>
      </May>
    </div>
  );
}

function rowIdOf(user: string): string {
  return `box-${user}`;
}
