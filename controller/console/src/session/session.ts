import type { WhoAmI } from '#shared/operator-schemas.ts';
import { api, isLoggedOut, wordsOf } from '../api.ts';
import { createStore, type Store } from '../store.ts';

/** Who looks at this page. */
export type Session =
  | { readonly is: 'asking' }
  | { readonly is: 'in'; readonly who: WhoAmI }
  /** `why` is for people; '' = there was none yet */
  | { readonly is: 'out'; readonly why: string };

export const session: Store<Session> = createStore<Session>({ is: 'asking' });

/** Logs in by the code of a link, where the page was opened by one; else finds out who is logged in already. */
export async function beginSession(signal: AbortSignal): Promise<void> {
  const code = takeCode();
  try {
    session.set({ is: 'in', who: code === null ? await api.whoAmI(signal) : await api.logIn(code, signal) });
  } catch (error) {
    if (signal.aborted) return;
    if (code !== null && (await isStillIn(signal))) return;
    const isNews = code !== null || !isLoggedOut(error);
    session.set({ is: 'out', why: isNews ? wordsOf(error) : '' });
  }
}

/** A link that was used before, by this very browser, is no reason to throw it out. */
async function isStillIn(signal: AbortSignal): Promise<boolean> {
  try {
    session.set({ is: 'in', who: await api.whoAmI(signal) });
    return true;
  } catch {
    return false;
  }
}

/** The session has ended under the page. */
export function loggedOut(): void {
  if (session.get().is === 'in') session.set({ is: 'out', why: 'Your session has ended.' });
}

export async function logOut(signal: AbortSignal): Promise<void> {
  await api.logOut(signal);
  session.set({ is: 'out', why: 'You are logged out.' });
}

/** The code must not stay where the next person, a screenshot or the history sees it. */
function takeCode(): string | null {
  const code = /^#login=(.+)$/.exec(location.hash)?.[1];
  if (code === undefined) return null;
  history.replaceState(null, '', `${location.pathname}#/boxes`);
  return code;
}
