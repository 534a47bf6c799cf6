import { createStore, type Store } from '../store.ts';

const storedAs = 'spoonbox-read-aloud';

/** Whether terminals also keep their text where a screen reader finds it, which costs time for every line. */
export const readAloud: Store<boolean> = createStore(localStorage.getItem(storedAs) === 'yes');

readAloud.subscribe(() => localStorage.setItem(storedAs, readAloud.get() ? 'yes' : 'no'));
