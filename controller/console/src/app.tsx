import { useEffect, useRef, useState } from 'react';
import { BoxPage } from './box/box-page.tsx';
import { BoxesPage } from './boxes/boxes-page.tsx';
import { ConnectionBanner } from './live/connection-banner.tsx';
import { watchBoxes } from './live/live.ts';
import { goTo, route } from './navigation.ts';
import { ReconcilerPage } from './reconciler/reconciler-page.tsx';
import { boxesRoute, type Route } from './route.ts';
import { LogInPage } from './session/log-in-page.tsx';
import { beginSession, session } from './session/session.ts';
import { useStore } from './store.ts';
import { TerminalDeck } from './terminal/terminal-deck.tsx';
import { TopBar } from './top-bar.tsx';
import { ErrorBoundary } from './ui/error-boundary.tsx';
import { HelpDialog } from './ui/help-dialog.tsx';
import { NewsList } from './ui/news-list.tsx';
import { useKeys } from './ui/use-keys.ts';

/** The whole page: who is not logged in is told how, everybody else sees the boxes. */
export function App() {
  const { is } = useStore(session);
  useEffect(() => {
    const ending = new AbortController();
    const begin = (): void => {
      beginSession(ending.signal);
    };
    // A link opened where the page is open already changes nothing but the fragment.
    const onLink = (): void => {
      if (location.hash.startsWith('#login=')) begin();
    };
    // Who has logged in in another window need not do so here.
    const onLook = (): void => {
      if (session.get().is === 'out' && document.visibilityState === 'visible') begin();
    };
    begin();
    addEventListener('hashchange', onLink);
    document.addEventListener('visibilitychange', onLook);
    return () => {
      removeEventListener('hashchange', onLink);
      document.removeEventListener('visibilitychange', onLook);
      ending.abort();
    };
  }, []);
  const hasBeenIn = useHasBeen(is === 'in');
  if (is === 'asking') return <p className="log-in quiet">Asking who you are …</p>;
  return (
    <ErrorBoundary what="The console">
      {is === 'out' && <LogInPage />}
      {hasBeenIn && <Inside isIn={is === 'in'} />}
    </ErrorBoundary>
  );
}

/** The terminals stay where they are while nobody is logged in: a session that ends takes the pages away, but no shell. */
function Inside({ isIn }: { readonly isIn: boolean }) {
  const here = useStore(route);
  const [isHelping, setHelping] = useState(false);
  useEffect(() => {
    if (!isIn) return;
    const ending = new AbortController();
    watchBoxes(ending.signal);
    return () => ending.abort();
  }, [isIn]);
  useEffect(() => {
    document.title = isIn ? titleOf(here) : 'Spoonbox';
  }, [here, isIn]);
  useKeys(
    {
      '?': () => setHelping(true),
      b: () => goTo(boxesRoute),
      r: () => goTo({ at: 'reconciler' }),
    },
    isIn,
  );
  return (
    <div className={`frame frame-${here.at}`} hidden={!isIn}>
      {isIn && (
        <>
          <button type="button" className="skip" onClick={skipToMain}>
            Skip to the content
          </button>
          <TopBar onHelp={() => setHelping(true)} />
          <ConnectionBanner />
        </>
      )}
      <main id="main" tabIndex={-1}>
        {isIn && here.at === 'boxes' && <BoxesPage />}
        {isIn && here.at === 'box' && <BoxPage key={here.user} user={here.user} />}
        {isIn && here.at === 'reconciler' && <ReconcilerPage />}
        <TerminalDeck isIn={isIn} />
      </main>
      {isIn && <NewsList />}
      {isIn && isHelping && <HelpDialog onClose={() => setHelping(false)} />}
    </div>
  );
}

function useHasBeen(isNow: boolean): boolean {
  const hasBeen = useRef(isNow);
  hasBeen.current ||= isNow;
  return hasBeen.current;
}

function titleOf(here: Route): string {
  switch (here.at) {
    case 'boxes':
      return 'Boxes – Spoonbox';
    case 'reconciler':
      return 'Reconciler – Spoonbox';
    case 'box':
      return `${here.user} – Spoonbox`;
    case 'terminal':
      return `>_ ${here.user} – Spoonbox`;
  }
}

/** No link: the fragment is the page's route. */
function skipToMain(): void {
  document.getElementById('main')?.focus();
}
