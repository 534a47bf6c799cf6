import { exitCodeOf, exitCodes } from './command.ts';
import { hint } from './output.ts';
import { pause } from './wait-gone.ts';

/** What breaks again and again is given up after so many times in a row. */
const maxFailures = 20;
const againAfterMs = 1_000;

/**
 * Follows something for ever: what the server ends, or a connection that breaks, is begun again. `follow` calls `alive` whenever it
 * hears something. Rejects with what cannot pass by itself, with the very first failure, or with the signal's reason.
 */
export async function retried(
  what: string,
  follow: (alive: () => void) => Promise<void>,
  signal: AbortSignal,
): Promise<never> {
  let failures = 0;
  let hasHeard = false;
  for (;;) {
    try {
      await follow(() => {
        failures = 0;
        hasHeard = true;
      });
    } catch (error) {
      const code = exitCodeOf(error);
      const mayPass = code === exitCodes.unreachable || code === exitCodes.notYet;
      failures += 1;
      if (!mayPass || !hasHeard || failures > maxFailures) throw error;
    }
    signal.throwIfAborted();
    if (failures <= 1) hint(`${what} ended; it is begun again`);
    await pause(againAfterMs, signal);
  }
}
