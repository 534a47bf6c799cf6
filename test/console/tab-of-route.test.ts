import { expect, test } from 'vitest';
import { type TerminalRoute, tabOfRoute } from '../../controller/console/src/terminal/tab-of-route.ts';
import type { Tab } from '../../controller/console/src/terminal/tabs.ts';

const tab: Tab = { id: 1, user: 'alice', session: 's1', readOnly: false, holdsShell: true };
const watched: Tab = { ...tab, id: 2, session: 's2', readOnly: true };
const route: TerminalRoute = { at: 'terminal', user: 'alice', session: null, readOnly: false };

test('the address that a terminal had before it was named leads to it, and opens no second one', () => {
  expect(tabOfRoute([tab, watched], route)).toBe(tab);
});

test('a named terminal, another user and another way to look are what they say', () => {
  expect(tabOfRoute([tab, watched], { ...route, session: 's1' })).toBe(tab);
  expect(tabOfRoute([tab, watched], { ...route, session: 's2' })).toBeUndefined();
  expect(tabOfRoute([tab, watched], { ...route, session: 's2', readOnly: true })).toBe(watched);
  expect(tabOfRoute([tab], { ...route, readOnly: true })).toBeUndefined();
  expect(tabOfRoute([tab, watched], { ...route, user: 'bob' })).toBeUndefined();
});
