import { useState } from 'react';
import { hrefOf } from '../route.ts';
import { useStore } from '../store.ts';
import type { PaneState } from './pane-state.ts';
import { readAloud } from './read-aloud.ts';
import type { Tab } from './tabs.ts';

/** Whose terminal it is, who else is there, and how large it is shown. */
export function TerminalBar({ tab, state }: { readonly tab: Tab; readonly state: PaneState }) {
  const { user, readOnly } = tab;
  const others = state.viewers.filter(({ id }) => id !== state.viewer);
  return (
    <div className="terminal-bar">
      <a href={hrefOf({ at: 'box', user })}>{user}</a>
      {readOnly && <span className="kind">read-only</span>}
      {others.length > 0 && (
        <span className="quiet">
          also here: {others.map(({ name, mode }) => (mode === 'ro' ? `${name} (looks)` : name)).join(', ')}
        </span>
      )}
      {state.foreignSize !== null && (
        <span className="quiet" title="It has the size of whoever typed last">
          {state.foreignSize.cols} × {state.foreignSize.rows}, as another has it
        </span>
      )}
      <span className="grow" />
      {state.session !== null && !readOnly && (
        <a
          href={hrefOf({ at: 'terminal', user, session: state.session, readOnly: false })}
          target="_blank"
          rel="noopener"
          className="quiet wide-only"
        >
          In a window of its own
        </a>
      )}
      <ReadAloudButton />
      <FullButton />
    </div>
  );
}

function ReadAloudButton() {
  const isOn = useStore(readAloud);
  return (
    <button
      type="button"
      className="plain"
      aria-pressed={isOn}
      title="Keep the text of terminals where a screen reader finds it"
      onClick={() => readAloud.set(!isOn)}
    >
      Screen reader{isOn ? ': on' : ''}
    </button>
  );
}

function FullButton() {
  const [isFull, setFull] = useState(document.documentElement.classList.contains('full'));
  return (
    <button
      type="button"
      className="plain"
      aria-pressed={isFull}
      onClick={() => setFull(document.documentElement.classList.toggle('full'))}
    >
      {isFull ? 'Show the pages' : 'Full window'}
    </button>
  );
}
