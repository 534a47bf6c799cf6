import { goTo, renameHere, route } from '../navigation.ts';
import { boxesRoute, type Route } from '../route.ts';
import { createStore, type Store } from '../store.ts';

/** A terminal that is open in this page, whether it is looked at or not. */
export interface Tab {
  readonly id: number;
  readonly user: string;
  /** null until the gateway has named it */
  readonly session: string | null;
  readonly readOnly: boolean;
}

type TerminalRoute = Extract<Route, { at: 'terminal' }>;

export const tabs: Store<readonly Tab[]> = createStore<readonly Tab[]>([]);
let lastId = 0;

/** The one that is looked at; null = another page is. */
export const shownTab: Store<number | null> = createStore<number | null>(null);

route.subscribe(follow);
follow();

/** A terminal that is open already is gone on with. */
export function goToTerminal(user: string): void {
  const open = tabs.get().find((tab) => tab.user === user && !tab.readOnly);
  goTo({ at: 'terminal', user, session: open?.session ?? null, readOnly: false });
}

/** The gateway has named the session: a reload, and a link, now lead to it. */
export function nameTab(id: number, session: string): void {
  tabs.set(tabs.get().map((tab) => (tab.id === id ? { ...tab, session } : tab)));
  const tab = tabs.get().find((known) => known.id === id);
  if (tab !== undefined && shownTab.get() === id) renameHere({ at: 'terminal', ...tab });
}

export function closeTab(id: number): void {
  const wasShown = shownTab.get() === id;
  const user = tabs.get().find((tab) => tab.id === id)?.user;
  tabs.set(tabs.get().filter((tab) => tab.id !== id));
  if (wasShown) goTo(user === undefined ? boxesRoute : { at: 'box', user });
}

function follow(): void {
  const here = route.get();
  if (here.at !== 'terminal') {
    shownTab.set(null);
    return;
  }
  const open = tabs.get().find((tab) => isSame(tab, here));
  if (open !== undefined) {
    shownTab.set(open.id);
    return;
  }
  lastId += 1;
  const { user, session, readOnly } = here;
  tabs.set([...tabs.get(), { id: lastId, user, session, readOnly }]);
  shownTab.set(lastId);
}

function isSame(tab: Tab, { user, session, readOnly }: TerminalRoute): boolean {
  return tab.user === user && tab.session === session && tab.readOnly === readOnly;
}
