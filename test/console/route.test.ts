import { expect, test } from 'vitest';
import { hrefOf, parseRoute, type Route } from '../../controller/console/src/route.ts';

const routes: readonly Route[] = [
  { at: 'boxes' },
  { at: 'reconciler' },
  { at: 'box', user: 'a.b_c-1' },
  { at: 'terminal', user: 'alice', session: null, readOnly: false },
  { at: 'terminal', user: 'alice', session: 's_1-2', readOnly: true },
];

test('a link leads to where it was made', () => {
  for (const route of routes) expect(parseRoute(hrefOf(route))).toEqual(route);
});

test('whatever is no route shows the boxes, also a broken one and a log-in code', () => {
  for (const fragment of ['', '#', '#/', '#/nowhere', '#/boxes/%E0%A4%A', '#/terminal/', '#login=abc']) {
    expect(parseRoute(fragment), fragment).toEqual({ at: 'boxes' });
  }
});
