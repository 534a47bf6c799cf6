import { openTerminal, type RemoteTerminal, type TerminalEvent } from '#shared/terminal-client.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import { ApiRefusal } from '../../../sdk/errors.ts';
import { isPassing } from '../../../sdk/passing.ts';
import { api, isLoggedOut } from '../api.ts';
import { loggedOut, untilLoggedIn } from '../session/session.ts';
import { whoIsHere } from '../session/who-is-here.ts';
import { afterEvent, firstState, type PaneState } from './pane-state.ts';
import type { ProgramAsks } from './asking.ts';
import { OtherGateway, openKnownSocket } from './known-socket.ts';
import { createScreen, type Screen } from './screen.ts';

/** Not 1000, which says that this client is done. */
const leftCode = 4900;
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
  /** The person is done with it; where this was the last one, the shell ends. */
  close(): void;
  /** The page goes away: the shell is kept for its grace, as after a lost connection. */
  leave(): void;
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
    /** by the person, not by the terminal itself */
    readonly onTyped: () => void;
  },
): Pane {
  const { user, readOnly } = options;
  const ending = new AbortController();
  const screen = createScreen(element, options);
  const { terminal } = screen;
  const encoder = new TextEncoder();
  let own = screen.fitting() ?? usualSize;
  let state = firstState;
  let socket: WebSocket | null = null;
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
        // Whoever logs in again finds the terminal as it was.
        await untilLoggedIn(signal);
        try {
          return await api.terminalToken(user, body, signal);
        } catch (error) {
          if (isLoggedOut(error)) loggedOut();
          throw error;
        }
      },
      size: own,
      on,
      output: (bytes, parsed) => terminal.write(bytes, parsed),
      openSocket(url, protocols) {
        socket = openKnownSocket(url, protocols, user);
        return socket;
      },
      isFinal,
    },
    ending.signal,
  );
  const type = (bytes: Uint8Array<ArrayBuffer>, answer: boolean): void => {
    if (readOnly && answer) return;
    if (!answer) options.onTyped();
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
    close: end,
    leave() {
      socket?.close(leftCode, 'the page has left');
      end();
    },
  };

  function end(): void {
    removeEventListener('online', onOnline);
    ending.abort();
    screen.dispose();
  }
}

/** No other attempt can mend this. */
function isFinal(error: Error): boolean {
  if (error instanceof OtherGateway) return true;
  return error instanceof ApiRefusal && !isPassing(error) && !isLoggedOut(error);
}
