import { type Clock, sleep } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import type { RunningCommand } from '../exec/command-port.ts';
import type { GatewayLimits } from '../limits.ts';

/** Between two looks, growing from the first to the last: one goes on for hours at times. */
const lookEveryMs = { first: 50, most: 1_000 };

/**
 * Waits for the end of a command whose output has ended: one that writes into a file of its own closes it early. Resolves when it
 * does not run any more, its box does not, or the engine has not answered for `autopsyMs`: then `lookAfterEnd` finds out which.
 * Rejects with the signal's reason.
 */
export async function untilEnded(
  { clock, limits, log }: { clock: Clock; limits: Pick<GatewayLimits, 'autopsyMs'>; log: Logger },
  command: Pick<RunningCommand, 'state'>,
  signal: AbortSignal,
): Promise<void> {
  let silentSinceMs: number | null = null;
  for (let waitMs = lookEveryMs.first; ; waitMs = Math.min(waitMs * 2, lookEveryMs.most)) {
    signal.throwIfAborted();
    const beganMs = clock.monotonicMs();
    try {
      const { running, boxRuns } = await command.state();
      if (!running || !boxRuns) return;
      silentSinceMs = null;
    } catch (error) {
      log.debug({ error }, 'a command without output cannot be looked at; trying again');
      silentSinceMs ??= beganMs;
      if (clock.monotonicMs() - silentSinceMs >= limits.autopsyMs) return;
    }
    await sleep(clock, waitMs, signal);
  }
}
