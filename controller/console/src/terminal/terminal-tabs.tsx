import { hrefOf } from '../route.ts';
import { useStore } from '../store.ts';
import { closeTab, shownTab, tabs } from './tabs.ts';

/** The terminals that are open, beside the pages. */
export function TerminalTabs() {
  const open = useStore(tabs);
  const shown = useStore(shownTab);
  return open.map(({ id, user, session, readOnly }) => (
    <span key={id} className="tab tab-terminal">
      <a
        href={hrefOf({ at: 'terminal', user, session, readOnly })}
        aria-current={id === shown ? 'page' : undefined}
        aria-label={`${user}, ${readOnly ? 'read-only terminal' : 'terminal'}`}
      >
        {readOnly ? '👁' : '>_'} {user}
      </a>
      <button
        type="button"
        className="plain"
        aria-label={`Close the terminal of ${user}`}
        title="Close: where nobody else is at it, its shell ends"
        onClick={() => closeTab(id)}
      >
        ×
      </button>
    </span>
  ));
}
