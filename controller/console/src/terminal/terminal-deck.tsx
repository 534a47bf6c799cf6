import { lazy, Suspense } from 'react';
import { useStore } from '../store.ts';
import { ErrorBoundary } from '../ui/error-boundary.tsx';
import { shownTab, tabs } from './tabs.ts';

/** xterm.js is most of the page, and not everybody opens a terminal. */
const TerminalPane = lazy(async () => ({ default: (await loadPane()).TerminalPane }));

const loadAgainAfterMs = [300, 2_000];

/** A browser gives up what it is loading when an interface comes or goes, as each box's does on the engine's own host. */
async function loadPane(failures = 0): Promise<typeof import('./terminal-pane.tsx')> {
  try {
    return await import('./terminal-pane.tsx');
  } catch (error) {
    const afterMs = loadAgainAfterMs[failures];
    if (afterMs === undefined) throw error;
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    return await loadPane(failures + 1);
  }
}

/** All open terminals: those that are not looked at go on. */
export function TerminalDeck({ isIn }: { readonly isIn: boolean }) {
  const open = useStore(tabs);
  const shown = useStore(shownTab);
  const isShown = (id: number): boolean => isIn && id === shown;
  return (
    <div className="deck" hidden={!open.some(({ id }) => isShown(id))}>
      <ErrorBoundary what="The terminal">
        <Suspense fallback={<p className="empty quiet">Loading the terminal …</p>}>
          {open.map((tab) => (
            <TerminalPane key={tab.id} tab={tab} isShown={isShown(tab.id)} />
          ))}
        </Suspense>
      </ErrorBoundary>
    </div>
  );
}
