import { type ReactNode, useState } from 'react';
import { route } from './navigation.ts';
import { boxesRoute, hrefOf, type Route } from './route.ts';
import { logOut, session } from './session/session.ts';
import { useStore } from './store.ts';
import { askToLeave } from './terminal/closing.tsx';
import { tabs } from './terminal/tabs.ts';
import { TerminalTabs } from './terminal/terminal-tabs.tsx';
import { useAction } from './ui/action.ts';
import { type Confirmation, ConfirmDialog } from './ui/confirm-dialog.tsx';
import { nextTheme, theme } from './ui/theme.ts';

const themeSigns = { auto: '◐', light: '☀', dark: '☾' } as const;

export function TopBar({ onHelp }: { readonly onHelp: () => void }) {
  const here = useStore(route);
  const state = useStore(session);
  const chosen = useStore(theme);
  const act = useAction();
  const [asked, setAsked] = useState<Confirmation | null>(null);
  const leave = (): void => {
    const holding = tabs.get().filter(({ holdsShell }) => holdsShell);
    if (holding.length > 0) {
      setAsked(askToLeave(holding, logOut));
      return;
    }
    act(async (signal) => {
      await logOut(signal);
      return '';
    });
  };
  return (
    <header className="top">
      <nav aria-label="Pages">
        <a className="brand" href={hrefOf(boxesRoute)} aria-label="Spoonbox, all boxes">
          <img src="favicon.svg" alt="" width="22" height="22" />
          <span>Spoonbox</span>
        </a>
        <PageLink to={boxesRoute} isHere={here.at === 'boxes' || here.at === 'box'}>
          Boxes
        </PageLink>
        <PageLink to={{ at: 'reconciler' }} isHere={here.at === 'reconciler'}>
          Reconciler
        </PageLink>
        <TerminalTabs />
      </nav>
      <div className="top-end">
        {state.is === 'in' && (
          <span className="quiet who" title={`logged in as ${state.who.name}`}>
            {state.who.role}
          </span>
        )}
        <button
          type="button"
          className="plain"
          onClick={nextTheme}
          aria-label={`Colours: ${chosen}`}
          title={`Colours: ${chosen}`}
        >
          {themeSigns[chosen]}
        </button>
        <button type="button" className="plain" onClick={onHelp} aria-label="Keys" title="Keys (?)">
          ?
        </button>
        <button type="button" className="plain" onClick={leave}>
          Log out
        </button>
      </div>
      {asked !== null && <ConfirmDialog asked={asked} onClose={() => setAsked(null)} />}
    </header>
  );
}

function PageLink({
  to,
  isHere,
  children,
}: {
  readonly to: Route;
  readonly isHere: boolean;
  readonly children: ReactNode;
}) {
  return (
    <a className="tab" href={hrefOf(to)} aria-current={isHere ? 'page' : undefined}>
      {children}
    </a>
  );
}
