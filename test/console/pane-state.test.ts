import { expect, test } from 'vitest';
import type { TerminalEvent } from '#shared/terminal-client.ts';
import {
  afterEvent,
  firstState,
  holdsShell,
  type PaneState,
} from '../../controller/console/src/terminal/pane-state.ts';

const own = { cols: 100, rows: 30 };
const hello: TerminalEvent = {
  type: 'hello',
  session: 's1',
  user: 'alice',
  mode: 'rw',
  containerId: 'c1',
  viewer: 'v1',
  start: 'new',
  replayBytes: 0,
  offset: 0,
  received: 0,
  ticket: 't',
  graceMs: 1,
  ...own,
  highBytes: 1,
  lowBytes: 1,
  ackEveryBytes: 1,
};

function after(...events: readonly TerminalEvent[]): PaneState {
  return events.reduce((state, event) => afterEvent(state, event, 1_000, own), firstState);
}

test('while the box is made, its message and the progress of its image are shown', () => {
  const progress = { image: 'debian', doneBytes: 10, totalBytes: 100, layersDone: 0, layers: 1 };
  const waits = after({ type: 'status', phase: 'provisioning', step: 'pulling', message: 'image is pulled', progress });
  expect(waits).toMatchObject({ link: 'waiting', text: 'image is pulled', pull: { doneBytes: 10, totalBytes: 100 } });
  const begun = afterEvent(waits, hello, 2_000, own);
  expect(begun).toMatchObject({ link: 'open', text: '', pull: null, session: 's1' });
});

test('the size that another gave the terminal is known as such, also to who comes later', () => {
  expect(after(hello).foreignSize).toBeNull();
  expect(after({ ...hello, cols: 80 }).foreignSize).toEqual({ cols: 80, rows: 30 });
  expect(after(hello, { type: 'size', cols: 60, rows: 20 }).foreignSize).toEqual({ cols: 60, rows: 20 });
});

test('an idle warning says until when, and goes once the box is kept', () => {
  const warned = after(hello, { type: 'warning', code: 'idle-soon', message: 'press a key', inMs: 60_000 });
  expect(warned.warning).toEqual({ message: 'press a key', atMs: 61_000 });
  expect(afterEvent(warned, { type: 'notice', code: 'kept', message: 'kept' }, 2_000, own).warning).toBeNull();
});

test('what is lost, and how it ended, is said in the words of who knows', () => {
  const lost = after(hello, { type: 'reconnecting', attempt: 1, inMs: 250, why: 'the gateway restarts' });
  expect(lost).toMatchObject({ link: 'lost', text: 'the gateway restarts' });
  const message = 'an operator reaped the box; only the home survives';
  const closed = afterEvent(lost, { type: 'closed', how: 'exit', name: null, message, error: null }, 2_000, own);
  expect(closed).toMatchObject({ link: 'closed', text: message });
});

test('a terminal whose shell would end with this page is known as such', () => {
  const viewer = { id: 'v1', name: 'me', mode: 'rw', forMs: 0, ...own } as const;
  const other = { ...viewer, id: 'v2' };
  const lost: TerminalEvent = { type: 'reconnecting', attempt: 1, inMs: 250, why: 'the gateway restarts' };
  const over: TerminalEvent = { type: 'closed', how: 'exit', name: null, message: 'over', error: null };
  expect(holdsShell(after(hello, { type: 'viewers', viewers: [viewer] }))).toBe(true);
  expect(holdsShell(after(hello, lost))).toBe(true);
  expect(holdsShell(after(hello, { type: 'viewers', viewers: [viewer, other] }))).toBe(false);
  expect(holdsShell(after(hello, over))).toBe(false);
  expect(holdsShell(firstState)).toBe(false);
});
