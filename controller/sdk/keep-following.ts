import { type Clock, sleep } from '#shared/clock.ts';
import { isPassing, retryAfterMs } from './passing.ts';

export interface KeepFollowing {
  readonly clock: Clock;
  readonly random: () => number;
  /** Told of each break, `failures` in a row; `error` null: the server has ended it. What it throws ends it all. */
  onBreak?(error: unknown, failures: number): void;
}

/**
 * Follows a stream of the server until `signal` is aborted: after a break `follow` is asked for it again, and says itself from
 * where. Throws what no other attempt would mend.
 */
export async function* keepFollowing<Event>(
  deps: KeepFollowing,
  follow: () => AsyncIterable<Event>,
  signal: AbortSignal,
): AsyncGenerator<Event> {
  let failures = 0;
  for (;;) {
    let broke: unknown = null;
    try {
      for await (const event of follow()) {
        failures = 0;
        yield event;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
      broke = error;
    }
    failures += 1;
    deps.onBreak?.(broke, failures);
    await sleep(deps.clock, retryAfterMs(failures, deps.random), signal);
  }
}
