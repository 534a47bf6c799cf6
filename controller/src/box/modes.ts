import type { ModeView } from '#shared/operator-schemas.ts';
import type { Facts } from './facts.ts';
import type { Rule } from './rules.ts';

/** What an operator lets the reconciler do: the modes `pause` and `drain`, as rules and as sentences. */

/** First in every state: it stays as it is, whatever is found. Time is granted all the same, for that touches no box. */
export const paused: Rule = {
  name: 'an operator paused the reconciler: nothing is done',
  when: (_context, facts) => isPaused(facts),
};

/** First of the rules that make a box where there is none. */
export const drained: Rule = {
  name: 'no new boxes are made: an operator drains the installation',
  when: (_context, facts) => facts.mode.mode === 'drain',
  to: 'absent',
  context: () => ({ place: null }),
};

export function isPaused(facts: Facts): boolean {
  return facts.mode.mode === 'pause';
}

/** Somebody asks for a box that is not made now: it waits for the mode to change. */
export function waitsForDrain({ mode, hasLease, ownership }: Facts): boolean {
  return mode.mode === 'drain' && hasLease && ownership.box === null && ownership.foreign === null;
}

export function pausedMessage(facts: Facts): string {
  return `the reconciler is paused by ${whoAndWhy(facts.mode)}; nothing is done until it runs again`;
}

export function drainedMessage(facts: Facts): string {
  return `no new boxes are made: drained by ${whoAndWhy(facts.mode)}`;
}

export function rolloutPausedMessage({ rollout }: Facts): string {
  return `rollouts are paused by ${whoAndWhy(rollout)}`;
}

function whoAndWhy({ by, reason }: Pick<ModeView, 'by' | 'reason'>): string {
  return reason === '' ? by : `${by} (${reason})`;
}
