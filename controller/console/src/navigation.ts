import { hrefOf, parseRoute, type Route } from './route.ts';
import { createStore, type Store } from './store.ts';

/** Where the page is. */
export const route: Store<Route> = createStore<Route>(parseRoute(location.hash));

addEventListener('hashchange', () => route.set(parseRoute(location.hash)));

export function goTo(next: Route): void {
  location.hash = hrefOf(next);
}

/** The same place by a better name: no step of its own to go back to. */
export function renameHere(next: Route): void {
  history.replaceState(null, '', hrefOf(next));
  route.set(next);
}
