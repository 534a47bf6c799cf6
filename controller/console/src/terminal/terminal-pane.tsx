import '@xterm/xterm/css/xterm.css';
import { useEffect, useRef, useState } from 'react';
import { loadFonts } from './fonts.ts';
import { openPane, type Pane } from './pane.ts';
import { firstState } from './pane-state.ts';
import { AskDialog } from './ask-dialog.tsx';
import type { ProgramAsks } from './screen.ts';
import { nameTab, type Tab } from './tabs.ts';
import { TerminalBar } from './terminal-bar.tsx';
import { TerminalNotes } from './terminal-notes.tsx';

/** One terminal with what is to be said around it. It goes on while it is not shown. */
export function TerminalPane({ tab, isShown }: { readonly tab: Tab; readonly isShown: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  const pane = useRef<Pane | null>(null);
  const shown = useRef(isShown);
  shown.current = isShown;
  const [state, setState] = useState(firstState);
  const [asks, setAsks] = useState<ProgramAsks | null>(null);
  const [turn, setTurn] = useState(0);
  const { id, user, readOnly } = tab;
  const session = useRef(tab.session);

  // Another turn is a new terminal in the same place.
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    let isOver = false;
    const watcher = new ResizeObserver(() => pane.current?.fit());
    loadFonts().then(() => {
      if (isOver) return;
      const opened = openPane(element, {
        user,
        session: session.current,
        readOnly,
        onState(next) {
          if (isOver) return;
          setState(next);
          if (next.session !== null && next.session !== session.current) {
            session.current = next.session;
            nameTab(id, next.session);
          }
        },
        onAsk: setAsks,
      });
      opened.screen.terminal.attachCustomKeyEventHandler(keysOfPage(opened));
      pane.current = opened;
      watcher.observe(element);
      if (shown.current) opened.screen.terminal.focus();
    });
    return () => {
      isOver = true;
      watcher.disconnect();
      pane.current?.close();
      pane.current = null;
    };
  }, [id, user, readOnly, turn]);

  useEffect(() => {
    if (!isShown) return;
    pane.current?.fit();
    pane.current?.screen.terminal.focus();
  }, [isShown]);

  const again = (): void => {
    session.current = null;
    setState(firstState);
    setTurn(turn + 1);
  };
  return (
    <section className="terminal" hidden={!isShown} aria-label={`Terminal of ${user}`}>
      <TerminalBar tab={tab} state={state} />
      <TerminalNotes state={state} onRetry={() => pane.current?.retryNow()} onAgain={again} />
      <div ref={place} className={state.foreignSize === null ? 'terminal-place' : 'terminal-place terminal-foreign'} />
      {asks !== null && (
        <AskDialog
          user={user}
          asks={asks}
          onClose={() => {
            setAsks(null);
            pane.current?.screen.terminal.focus();
          }}
        />
      )}
    </section>
  );
}

/** The few keys that are not the terminal's: what is selected is copied, and one way out for who has no pointer. */
function keysOfPage({ screen: { terminal } }: Pane): (event: KeyboardEvent) => boolean {
  return (event) => {
    if (!event.ctrlKey || event.type !== 'keydown') return true;
    const key = event.key.toLowerCase();
    if (key === 'x' && event.shiftKey) {
      event.preventDefault();
      document.getElementById('main')?.focus();
      return false;
    }
    return !(key === 'c' && terminal.hasSelection());
  };
}
