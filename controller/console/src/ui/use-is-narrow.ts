import { useSyncExternalStore } from 'react';

/** Where a telephone is held upright; the style sheets have the same width. */
const narrow = matchMedia('(max-width: 720px)');

export function useIsNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      narrow.addEventListener('change', listener);
      return () => narrow.removeEventListener('change', listener);
    },
    () => narrow.matches,
  );
}
