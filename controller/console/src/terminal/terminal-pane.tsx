import '@xterm/xterm/css/xterm.css';
import { useEffect, useReducer, useRef, useState } from 'react';
import { AskDialog } from './ask-dialog.tsx';
import { AskNote } from './ask-note.tsx';
import { afterAsking, askingNothing } from './asking.ts';
import { loadFonts } from './fonts.ts';
import { openPane, type Pane } from './pane.ts';
import { firstState, holdsShell } from './pane-state.ts';
import { isClosed, nameTab, noteShell, type Tab } from './tabs.ts';
import { TerminalBar } from './terminal-bar.tsx';
import { TerminalNotes } from './terminal-notes.tsx';

/** One terminal with what is to be said around it. It goes on while it is not shown. */
export function TerminalPane({ tab, isShown }: { readonly tab: Tab; readonly isShown: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  const pane = useRef<Pane | null>(null);
  const shown = useRef(isShown);
  shown.current = isShown;
  const [state, setState] = useState(firstState);
  const [asking, tellAsking] = useReducer(afterAsking, askingNothing);
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
          noteShell(id, !readOnly && holdsShell(next));
          if (next.session !== null && next.session !== session.current) {
            session.current = next.session;
            nameTab(id, next.session);
          }
        },
        onAsk: (asks) => tellAsking({ type: 'asked', asks }),
        onTyped: () => tellAsking({ type: 'typed' }),
      });
      opened.screen.terminal.attachCustomKeyEventHandler(keysOfPage(opened));
      pane.current = opened;
      watcher.observe(element);
      if (shown.current) opened.screen.terminal.focus();
    });
    return () => {
      isOver = true;
      watcher.disconnect();
      if (isClosed(id)) pane.current?.close();
      else pane.current?.leave();
      pane.current = null;
    };
  }, [id, user, readOnly, turn]);

  const isDeciding = asking.decided !== null;
  // After the dialog is gone: nothing behind a modal one takes the focus.
  useEffect(() => {
    if (!isShown || isDeciding) return;
    pane.current?.fit();
    pane.current?.screen.terminal.focus();
  }, [isShown, isDeciding]);

  const again = (): void => {
    session.current = null;
    setState(firstState);
    setTurn(turn + 1);
  };
  const answer = (yes: boolean): void => {
    tellAsking({ type: 'answered', yes });
    pane.current?.screen.terminal.focus();
  };
  return (
    <section className="terminal" hidden={!isShown} aria-label={`Terminal of ${user}`}>
      <TerminalBar tab={tab} state={state} />
      <TerminalNotes state={state} onRetry={() => pane.current?.retryNow()} onAgain={again} />
      <AskNote
        user={user}
        wanted={asking.wanted}
        onLook={() => tellAsking({ type: 'looked' })}
        onNo={() => answer(false)}
      />
      <div ref={place} className={state.foreignSize === null ? 'terminal-place' : 'terminal-place terminal-foreign'} />
      {/* A modal dialog in what is not shown would lock the page, with nothing to be seen. */}
      {isShown && asking.decided !== null && <AskDialog user={user} asks={asking.decided} onAnswer={answer} />}
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
