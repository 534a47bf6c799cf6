import type { ApiClient, HistoryEvent, ResumeId, WatchEvent } from './api-client.ts';
import { type KeepFollowing, keepFollowing } from './keep-following.ts';

/**
 * Watches one user's box, or all (null), until `signal` is aborted: after a break it goes on from the last event that was heard.
 * Throws what no other attempt would mend.
 */
export async function* keepWatching(
  deps: KeepFollowing & { readonly api: Pick<ApiClient, 'watch'> },
  user: string | null,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent> {
  let from: ResumeId = null;
  async function* watch(): AsyncGenerator<WatchEvent> {
    let whole = false;
    for await (const event of deps.api.watch(user, from, signal)) {
      whole ||= event.type === 'synced';
      // Before that, what was missed is on its way: the middle of it is no place to go on from.
      if (whole) from = event.id;
      yield event;
    }
  }
  yield* keepFollowing(deps, watch, signal);
}

/** The same for what happens to one user, or to all (null), after the event `after`; null = from now on. */
export async function* keepFollowingEvents(
  deps: KeepFollowing & { readonly api: Pick<ApiClient, 'followEvents'> },
  user: string | null,
  after: ResumeId,
  signal: AbortSignal,
): AsyncGenerator<HistoryEvent> {
  let from = after;
  async function* follow(): AsyncGenerator<HistoryEvent> {
    for await (const event of deps.api.followEvents(user, from, signal)) {
      if (event.type === 'happened') from = event.event.id;
      yield event;
    }
  }
  yield* keepFollowing(deps, follow, signal);
}
