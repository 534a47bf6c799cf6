import { sleep, systemClock } from '#shared/clock.ts';
import { keepFollowing } from '../sdk/keep-following.ts';
import { withBreakHints } from './break-hints.ts';

/**
 * Asks anew `everyMs` after each answer, until `signal` is aborted; goes on over breaks as every watch does. `hasHeard`: the server
 * has answered something before, so that it is waited for from the first look on.
 */
export function keepLooking<Answer>(
  look: () => Promise<Answer>,
  { everyMs, hasHeard = false, say }: { everyMs: number; hasHeard?: boolean; say?: (text: string) => void },
  signal: AbortSignal,
): AsyncGenerator<Answer> {
  let isThere = hasHeard;
  async function* looks(): AsyncGenerator<Answer> {
    for (;;) {
      const answer = await look();
      isThere = true;
      yield answer;
      await sleep(systemClock, everyMs, signal);
    }
  }
  return keepFollowing(
    withBreakHints('the watch', () => isThere, say),
    looks,
    signal,
  );
}
