import { systemClock } from '#shared/clock.ts';
import type { KeepFollowing } from '../sdk/keep-following.ts';
import { hint } from './output.ts';

/** How a command follows what a server tells: it says once that it broke, and ends with the first failure where nothing was heard ever. */
export function withBreakHints(
  what: string,
  hasHeard: () => boolean,
  say: (text: string) => void = hint,
): KeepFollowing {
  return {
    clock: systemClock,
    random: Math.random,
    onBreak(error, failures) {
      if (error !== null && !hasHeard()) throw error;
      if (failures === 1) say(`${what} ended; it is begun again`);
    },
  };
}
