import { type Clock, sleep } from '#shared/clock.ts';
import type { ApiClient, ResumeId, WatchEvent } from './api-client.ts';
import { isPassing, retryAfterMs } from './passing.ts';

/**
 * Watches one user's box, or all (null), until `signal` is aborted: after a break it goes on from the last event that was heard.
 * Throws what no other attempt would mend.
 */
export async function* keepWatching(
  deps: { readonly api: Pick<ApiClient, 'watch'>; readonly clock: Clock; readonly random: () => number },
  user: string | null,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent> {
  let from: ResumeId = null;
  let failures = 0;
  for (;;) {
    let whole = false;
    try {
      for await (const event of deps.api.watch(user, from, signal)) {
        failures = 0;
        whole ||= event.type === 'synced';
        // Before that, what was missed is on its way: the middle of it is no place to go on from.
        if (whole) from = event.id;
        yield event;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
    }
    failures += 1;
    await sleep(deps.clock, retryAfterMs(failures, deps.random), signal);
  }
}
