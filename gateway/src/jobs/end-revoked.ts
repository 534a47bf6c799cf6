import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import type { TokenCheck } from '#shared/token-check.ts';
import { Ending } from '../ending.ts';
import type { GatewayLimits } from '../limits.ts';
import type { JobPlace } from './jobs.ts';

/**
 * Ends a command once its token of the API may not ask any more: one that was let in before must not go on for as long as its
 * client likes. While Redis is down nothing is ended. Answers what stops looking.
 */
export function endRevoked(
  deps: { readonly clock: Clock; readonly limits: Pick<GatewayLimits, 'tokenCheckEveryMs'>; readonly log: Logger },
  tokens: TokenCheck,
  token: string,
  place: JobPlace,
): () => void {
  const { clock, limits, log } = deps;
  let stopped = false;
  let cancel = (): void => {};

  async function look(): Promise<void> {
    try {
      const checked = await tokens.check(token);
      if (checked.ok || stopped) return;
      const what = checked.refused === 'token-expired' ? 'has expired' : 'was revoked';
      log.info({ why: checked.refused }, 'a command is ended: its token may not ask any more');
      place.end(new Ending('token-refused', { message: `the token that it was begun with ${what}` }));
    } catch (error) {
      log.debug({ error }, 'whether a command may go on could not be looked up; trying again');
    }
  }

  function lookLater(): void {
    cancel = clock.after(limits.tokenCheckEveryMs, () => {
      void look().then(() => {
        if (!stopped) lookLater();
      });
    });
  }

  lookLater();
  return () => {
    stopped = true;
    cancel();
  };
}
