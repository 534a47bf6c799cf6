import { type Clock, sleep } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import { closedVaults, type VaultsAndKeys } from './store/closed-vaults.ts';

const retryMs = 2_000;

/**
 * Looks, once, whether the configured keys open what is in the vaults. What cannot be opened is told to the log and to `onProblem`,
 * and the process goes on: boxes start without it.
 */
export async function checkVault(
  options: VaultsAndKeys & { clock: Clock; log: Logger; onProblem: (problem: string) => void },
  signal: AbortSignal,
): Promise<void> {
  const { vault, clock, log, onProblem } = options;
  for (;;) {
    try {
      const closed = await closedVaults(options, signal);
      if (closed === null) return;
      const { keyIds, found, mend } = closed;
      log.warn({ keyIds, configured: vault.keyIds }, `${found}: ${mend}, and restart`);
      onProblem(`when this process started: ${found}: ${mend}, and restart; the log names the keys`);
      return;
    } catch (error) {
      signal.throwIfAborted();
      log.debug({ error }, 'the vaults could not be looked at yet; trying again');
      await sleep(clock, retryMs, signal);
    }
  }
}
