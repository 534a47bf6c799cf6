import { useEffect } from 'react';
import type { BoxStats } from '#shared/operator-schemas.ts';
import { api, isLoggedOut } from '../api.ts';
import { loggedOut } from '../session/session.ts';
import { createStore, type Store } from '../store.ts';

/** What each box used lately, the newest last. */
export type Usage = ReadonlyMap<string, readonly BoxStats[]>;

/** Three minutes. */
export const samplesKept = 60;
const everyMs = 3_000;

export const usage: Store<Usage> = createStore<Usage>(new Map());

/** One more look; boxes that run no more are forgotten. */
export function withSamples(before: Usage, samples: readonly BoxStats[]): Usage {
  return new Map(samples.map((now) => [now.user, [...(before.get(now.user) ?? []), now].slice(-samplesKept)]));
}

/** Looks at usage while the component is there and the page is seen. */
export function useUsageLooks(): void {
  useEffect(() => {
    const ending = new AbortController();
    let timer = 0;
    const look = async (): Promise<void> => {
      try {
        if (document.visibilityState === 'visible') {
          usage.set(withSamples(usage.get(), await api.stats(null, ending.signal)));
        }
      } catch (error) {
        if (ending.signal.aborted) return;
        if (isLoggedOut(error)) loggedOut();
        // Else the watch tells that the controller does not answer; a gap in a sparkline is no news.
      }
      if (!ending.signal.aborted) timer = window.setTimeout(look, everyMs);
    };
    look();
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, []);
}
