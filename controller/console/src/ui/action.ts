import { useCallback } from 'react';
import { isLoggedOut, wordsOf } from '../api.ts';
import { loggedOut } from '../session/session.ts';
import { tell } from './news.ts';

/** A request in time, or none: no button waits for ever. */
const actWithinMs = 30_000;

/** Does what a button says, and tells how it went: `run` answers with a sentence; '' = nothing to tell. */
export function useAction(): (run: (signal: AbortSignal) => Promise<string>) => Promise<void> {
  return useCallback(async (run) => {
    try {
      const said = await run(AbortSignal.timeout(actWithinMs));
      if (said !== '') tell({ text: said, isProblem: false });
    } catch (error) {
      if (isLoggedOut(error)) loggedOut();
      else tell({ text: wordsOf(error), isProblem: true });
    }
  }, []);
}
