import { openTerminal, type RemoteTerminal, type TerminalEvent } from '#shared/terminal-client.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import { ApiRefusal } from '../../../sdk/errors.ts';
import { api } from '../api.ts';
import { whoIsHere } from '../session/who-is-here.ts';
import { afterEvent, firstState, type PaneState } from './pane-state.ts';
import { createScreen, type ProgramAsks, type Screen } from './screen.ts';

/** For a place that is not seen yet. */
const usualSize: TerminalSize = { cols: 80, rows: 24 };
const resetScreen = '\x1bc';
/** What a terminal says by itself when a program asks it something. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: answers are made of them
const answerPattern = /^(?:\x1b\[[?>=]?[\d;]*(?:\$y|[cnRtu])|\x1b[P\]][^\x07\x1b]*(?:\x07|\x1b\\))+$/;

export interface Pane {
  readonly screen: Screen;
  /** Its place has another size, or is seen again. */
  fit(): void;
  retryNow(): void;
  /** This page is done with it; where it was the last one, the shell ends. */
  close(): void;
}

/** A terminal in a box, in this element: screen, keyboard and connection. */
export function openPane(
  element: HTMLElement,
  options: {
    readonly user: string;
    /** null = a new one */
    readonly session: string | null;
    readonly readOnly: boolean;
    readonly onState: (state: PaneState) => void;
    readonly onAsk: (asks: ProgramAsks) => void;
  },
): Pane {
  const { user, readOnly } = options;
  const ending = new AbortController();
  const screen = createScreen(element, options);
  const { terminal } = screen;
  const encoder = new TextEncoder();
  let own = screen.fitting() ?? usualSize;
  let state = firstState;
  terminal.resize(own.cols, own.rows);

  const on = (event: TerminalEvent): void => {
    if (event.type === 'screen') terminal.write(resetScreen);
    state = afterEvent(state, event, performance.now(), own);
    const { cols, rows } = state.foreignSize ?? own;
    if (cols !== terminal.cols || rows !== terminal.rows) terminal.resize(cols, rows);
    options.onState(state);
  };
  const remote: RemoteTerminal = openTerminal(
    {
      async getToken(session, signal) {
        const wanted = session ?? options.session;
        const body = {
          mode: readOnly ? 'ro' : 'rw',
          name: whoIsHere(),
          ...(wanted === null ? {} : { session: wanted }),
        };
        return await api.terminalToken(user, body, signal);
      },
      size: own,
      on,
      output: (bytes, parsed) => terminal.write(bytes, parsed),
      isFinal: (error) => error instanceof ApiRefusal && error.problem.status < 500,
    },
    ending.signal,
  );
  const type = (bytes: Uint8Array<ArrayBuffer>, answer: boolean): void => {
    if (readOnly && answer) return;
    // Whoever types gives the terminal its size.
    if (!answer && state.foreignSize !== null && !readOnly) {
      state = { ...state, foreignSize: null };
      terminal.resize(own.cols, own.rows);
      options.onState(state);
    }
    remote.type(bytes, { answer });
  };
  terminal.onData((data) => type(encoder.encode(data), answerPattern.test(data)));
  terminal.onBinary((data) =>
    type(
      Uint8Array.from(data, (char) => char.charCodeAt(0)),
      false,
    ),
  );
  const onOnline = (): void => remote.retryNow();
  addEventListener('online', onOnline);

  return {
    screen,
    fit() {
      const size = screen.fitting();
      if (size === null || (size.cols === own.cols && size.rows === own.rows)) return;
      own = size;
      remote.resize(size);
      if (state.foreignSize === null) terminal.resize(size.cols, size.rows);
    },
    retryNow: () => remote.retryNow(),
    close() {
      removeEventListener('online', onOnline);
      ending.abort();
      screen.dispose();
    },
  };
}
