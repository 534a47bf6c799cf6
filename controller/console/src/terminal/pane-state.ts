import type { TerminalEvent } from '#shared/terminal-client.ts';
import type { TerminalSize, Viewer } from '#shared/terminal-protocol.ts';

/** What the page shows around a terminal. */
export interface PaneState {
  readonly link: 'waiting' | 'open' | 'lost' | 'closed';
  /** what is waited for, why the connection is lost, how it ended; '' = nothing to say */
  readonly text: string;
  readonly pull: { readonly doneBytes: number; readonly totalBytes: number } | null;
  readonly session: string | null;
  /** the others can be told from this one */
  readonly viewer: string;
  readonly viewers: readonly Viewer[];
  /** the size that somebody else gives the terminal; null = this page does */
  readonly foreignSize: TerminalSize | null;
  /** the box is reaped soon unless somebody types */
  readonly warning: { readonly message: string; readonly atMs: number } | null;
  /** what the gateway said last, for people */
  readonly notice: string;
}

export const firstState: PaneState = {
  link: 'waiting',
  text: 'Connecting …',
  pull: null,
  session: null,
  viewer: '',
  viewers: [],
  foreignSize: null,
  warning: null,
  notice: '',
};

/** The state after this event. Pure. `nowMs`: of the page's own clock; `size`: what this page has asked for. */
export function afterEvent(state: PaneState, event: TerminalEvent, nowMs: number, size: TerminalSize): PaneState {
  switch (event.type) {
    case 'hello':
      return {
        ...state,
        link: 'open',
        text: '',
        pull: null,
        session: event.session,
        viewer: event.viewer,
        foreignSize: differs(event, size) ? { cols: event.cols, rows: event.rows } : null,
      };
    case 'status': {
      const { progress } = event;
      const pull = progress !== null && progress.totalBytes > 0 ? progress : null;
      return { ...state, link: 'waiting', text: event.message, pull };
    }
    case 'size':
      return { ...state, foreignSize: { cols: event.cols, rows: event.rows } };
    case 'viewers':
      return { ...state, viewers: event.viewers };
    case 'warning':
      return { ...state, warning: { message: event.message, atMs: nowMs + event.inMs } };
    case 'notice':
      return { ...state, notice: event.message, ...(event.code === 'kept' ? { warning: null } : {}) };
    case 'input-lost':
      return { ...state, notice: `${event.bytes} typed bytes were lost with the connection` };
    case 'error':
      return { ...state, notice: event.message };
    case 'reconnecting':
      return { ...state, link: 'lost', text: event.why };
    case 'closed':
      return { ...state, link: 'closed', text: event.message, warning: null, viewers: [] };
    case 'screen':
    case 'exit':
      return state;
  }
}

/** A shell runs, or did when the connection was lost, and nobody else is at it. */
export function holdsShell({ link, session, viewers, viewer }: PaneState): boolean {
  return (link === 'open' || link === 'lost') && session !== null && viewers.every(({ id }) => id === viewer);
}

function differs(a: TerminalSize, b: TerminalSize): boolean {
  return a.cols !== b.cols || a.rows !== b.rows;
}
