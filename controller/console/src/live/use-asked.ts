import { useCallback, useEffect, useRef, useState } from 'react';
import { isLoggedOut, wordsOf } from '../api.ts';
import { loggedOut } from '../session/session.ts';

/** What was asked of the API: the last answer stays while the next one comes. */
export interface Asked<Answer> {
  readonly answer: Answer | null;
  /** why there was no newer answer; null = there was */
  readonly problem: string | null;
  again(): void;
}

/** Asks at once, every `everyMs` while the page is seen (null = once), and whenever `because` changes. */
export function useAsked<Answer>(
  ask: (signal: AbortSignal) => Promise<Answer>,
  everyMs: number | null,
  because: string,
): Asked<Answer> {
  const [state, setState] = useState<{ answer: Answer | null; problem: string | null }>({
    answer: null,
    problem: null,
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;
  // `because` and `turn` are reasons to ask again.
  useEffect(() => {
    const ending = new AbortController();
    let timer = 0;
    const look = async (): Promise<void> => {
      try {
        if (document.visibilityState === 'visible' || everyMs === null) {
          const answer = await latest.current(ending.signal);
          setState({ answer, problem: null });
        }
      } catch (error) {
        if (ending.signal.aborted) return;
        if (isLoggedOut(error)) loggedOut();
        setState(({ answer }) => ({ answer, problem: wordsOf(error) }));
      }
      if (everyMs !== null && !ending.signal.aborted) timer = window.setTimeout(look, everyMs);
    };
    look();
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, [everyMs, because, turn]);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  return { ...state, again };
}
