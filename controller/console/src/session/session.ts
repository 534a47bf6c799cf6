import type { WhoAmI } from '#shared/operator-schemas.ts';
import { api, isLoggedOut, wordsOf } from '../api.ts';
import { createStore, type Store } from '../store.ts';
import { closeTab, leaveTabs, tabs } from '../terminal/tabs.ts';

/** Who looks at this page. */
export type Session =
  | { readonly is: 'asking' }
  | { readonly is: 'in'; readonly who: WhoAmI }
  /** `why` is for people; '' = there was none yet. `was`: whose session has ended under the page, and whose terminals go on */
  | { readonly is: 'out'; readonly why: string; readonly was: WhoAmI | null };

export const session: Store<Session> = createStore<Session>({ is: 'asking' });

/** Logs in by the code of a link, where the page was opened by one; else finds out who is logged in already. */
export async function beginSession(signal: AbortSignal): Promise<void> {
  const code = takeCode();
  try {
    cameIn(code === null ? await api.whoAmI(signal) : await api.logIn(code, signal));
  } catch (error) {
    if (signal.aborted) return;
    if (code !== null && (await isStillIn(signal))) return;
    const isNews = code !== null || !isLoggedOut(error);
    if (!isNews && session.get().is === 'out') return;
    session.set({ is: 'out', why: isNews ? wordsOf(error) : '', was: wasHere() });
  }
}

/** A link that was used before, by this very browser, is no reason to throw it out. */
async function isStillIn(signal: AbortSignal): Promise<boolean> {
  try {
    cameIn(await api.whoAmI(signal));
    return true;
  } catch {
    return false;
  }
}

/** The session has ended under the page. Its terminals go on, unseen: whoever logs in again as the same finds them. */
export function loggedOut(): void {
  const before = session.get();
  if (before.is !== 'in') return;
  const why = 'Your session has ended. Terminals that are open here go on: log in again in this window to find them.';
  session.set({ is: 'out', why: tabs.get().length > 0 ? why : 'Your session has ended.', was: before.who });
}

/** The person goes: so do the terminals. */
export async function logOut(signal: AbortSignal): Promise<void> {
  await api.logOut(signal);
  for (const { id } of tabs.get()) closeTab(id);
  session.set({ is: 'out', why: 'You are logged out.', was: null });
}

export async function untilLoggedIn(signal: AbortSignal): Promise<void> {
  if (session.get().is === 'in') return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stopLooking = session.subscribe(() => {
    if (session.get().is === 'in') resolve();
  });
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await promise;
  } finally {
    stopLooking();
    signal.removeEventListener('abort', onAbort);
  }
}

/** Somebody else does not get the terminals of who was here before. */
function cameIn(who: WhoAmI): void {
  const before = wasHere();
  if (before !== null && (before.name !== who.name || before.role !== who.role)) leaveTabs();
  session.set({ is: 'in', who });
}

function wasHere(): WhoAmI | null {
  const state = session.get();
  if (state.is === 'in') return state.who;
  return state.is === 'out' ? state.was : null;
}

/** The code must not stay where the next person, a screenshot or the history sees it. */
function takeCode(): string | null {
  const code = /^#login=(.+)$/.exec(location.hash)?.[1];
  if (code === undefined) return null;
  history.replaceState(null, '', `${location.pathname}#/boxes`);
  return code;
}
