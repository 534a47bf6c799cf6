import { goTo, renameHere, route } from '../navigation.ts';
import { boxesRoute } from '../route.ts';
import { createStore, type Store } from '../store.ts';
import { tabOfRoute } from './tab-of-route.ts';

/** A terminal that is open in this page, whether it is looked at or not. */
export interface Tab {
  readonly id: number;
  readonly user: string;
  /** null until the gateway has named it */
  readonly session: string | null;
  readonly readOnly: boolean;
  /** a shell runs, and nobody else is at it: it would end with this tab */
  readonly holdsShell: boolean;
}

export const tabs: Store<readonly Tab[]> = createStore<readonly Tab[]>([]);
let lastId = 0;
/** Those that the person has closed; what goes for another reason leaves its shell to its grace. */
const closed = new Set<number>();

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
  change(id, { session });
  const tab = tabOf(id);
  if (tab !== undefined && shownTab.get() === id) renameHere({ at: 'terminal', ...tab });
}

export function noteShell(id: number, holdsShell: boolean): void {
  if (tabOf(id)?.holdsShell !== holdsShell) change(id, { holdsShell });
}

/** The person is done with it. */
export function closeTab(id: number): void {
  const wasShown = shownTab.get() === id;
  const user = tabOf(id)?.user;
  closed.add(id);
  tabs.set(tabs.get().filter((tab) => tab.id !== id));
  if (wasShown) goTo(user === undefined ? boxesRoute : { at: 'box', user });
}

export function isClosed(id: number): boolean {
  return closed.has(id);
}

/** All go from the page, and their shells are left to their grace: somebody else is here now. */
export function leaveTabs(): void {
  tabs.set([]);
  if (route.get().at === 'terminal') goTo(boxesRoute);
}

function follow(): void {
  const here = route.get();
  if (here.at !== 'terminal') {
    shownTab.set(null);
    return;
  }
  const { user, session, readOnly } = here;
  const open = tabOfRoute(tabs.get(), here);
  if (open !== undefined) {
    shownTab.set(open.id);
    if (open.session !== session) renameHere({ at: 'terminal', ...open });
    return;
  }
  lastId += 1;
  tabs.set([...tabs.get(), { id: lastId, user, session, readOnly, holdsShell: false }]);
  shownTab.set(lastId);
}

function tabOf(id: number): Tab | undefined {
  return tabs.get().find((tab) => tab.id === id);
}

function change(id: number, to: Partial<Tab>): void {
  tabs.set(tabs.get().map((tab) => (tab.id === id ? { ...tab, ...to } : tab)));
}
