import { useEffect, useRef, useState } from 'react';
import { hrefOf } from '../route.ts';
import { useStore } from '../store.ts';
import { type Confirmation, ConfirmDialog } from '../ui/confirm-dialog.tsx';
import { askToClose } from './closing.tsx';
import { closeTab, shownTab, type Tab, tabs } from './tabs.ts';

/** The terminals that are open, beside the pages. */
export function TerminalTabs() {
  const open = useStore(tabs);
  const shown = useStore(shownTab);
  const [asked, setAsked] = useState<Confirmation | null>(null);
  const place = useRef<HTMLSpanElement>(null);
  // On a narrow screen it may be beyond the edge, and its × with it.
  useEffect(() => {
    if (shown !== null) place.current?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [shown]);
  const close = (tab: Tab): void => {
    if (tab.holdsShell) setAsked(askToClose(tab));
    else closeTab(tab.id);
  };
  return (
    <>
      {open.map((tab) => (
        <span key={tab.id} ref={tab.id === shown ? place : null} className="tab tab-terminal">
          <a
            href={hrefOf({ at: 'terminal', ...tab })}
            aria-current={tab.id === shown ? 'page' : undefined}
            aria-label={`${tab.user}, ${tab.readOnly ? 'read-only terminal' : 'terminal'}`}
          >
            {tab.readOnly ? '👁' : '>_'} {tab.user}
          </a>
          <button
            type="button"
            className="plain"
            aria-label={`Close the terminal of ${tab.user}`}
            title="Close: where nobody else is at it, its shell ends"
            onClick={() => close(tab)}
          >
            ×
          </button>
        </span>
      ))}
      {asked !== null && <ConfirmDialog asked={asked} onClose={() => setAsked(null)} />}
    </>
  );
}
