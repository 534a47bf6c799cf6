import { humanBytes } from '#shared/human-bytes.ts';
import type { BoxContext, Place } from './context.ts';
import type { Facts } from './facts.ts';
import { outsideFailure } from './failing.ts';
import type { ContainerView } from './observed.ts';
import { isLive } from './ownership.ts';
import type { Rule } from './rules.ts';

/** Places: how many boxes may be there at once, and what memory they may have together. Who finds none waits in line. */

/** What the limits say to whoever has no place. */
export type Admission =
  /** there is room for one more, or no limit */
  | { readonly state: 'open' }
  | AdmissionWait
  /** it alone is more than all boxes may have together */
  | { readonly state: 'over-budget'; readonly memoryBytes: number; readonly budgetBytes: number };

export interface AdmissionWait {
  readonly state: 'waits';
  /** 1 = the next; 0 = not known yet: a new leader first looks at who has a place */
  readonly position: number;
  /** how many wait, this one too */
  readonly waiting: number;
  readonly boxes: Share;
  readonly memoryBytes: Share & { readonly needed: number };
  /** some of those who have the places, idle ones first, and how many more there are */
  readonly holders: readonly { readonly user: string; readonly isIdle: boolean }[];
  readonly moreHolders: number;
  /** when to ask again if nothing is heard before */
  readonly lookMs: number;
}

/** Of a limit; null = there is none. */
interface Share {
  readonly taken: number;
  readonly limit: number | null;
}

/**
 * The place of a box, from its admission until its container is gone. What runs has one, whoever made it: above the limit it
 * counts, and is not touched. Of what does not run it is as it was.
 */
export function placeOf({ place }: BoxContext, facts: Facts): Place | null {
  const { box } = facts.ownership;
  if (box === null || !isLive(box)) return place;
  const memoryBytes = memoryOf(box, facts);
  return place?.memoryBytes === memoryBytes ? place : { at: place?.at ?? facts.now, memoryBytes };
}

/** One that has to wait for its next try gives its place back: others may be let in meanwhile. */
export function placeOfFailed({ place, retryAt }: BoxContext, { now, ownership: { box } }: Facts): Place | null {
  return now < retryAt && (box === null || !isLive(box)) ? null : place;
}

/** Before the rules that make a box where there is none. */
export const admissions: readonly Rule[] = [
  {
    name: 'as many boxes as may be are there: wait in line',
    when: (context, facts) => !hasPlace(context, facts) && facts.admission.state === 'waits',
    to: 'absent',
    context: () => ({ place: null }),
  },
  {
    name: 'a box of its class is more than all boxes may have together',
    when: (context, facts) => !hasPlace(context, facts) && facts.admission.state === 'over-budget',
    to: 'failed',
    context: (context, facts) => ({
      ...outsideFailure(context, facts, 'OverBudget', overBudgetMessage(facts)),
      place: null,
    }),
  },
];

/** These rules are of whoever was let in: from the first on, the box has its place; where one gives up, it gives it back. */
export function admitted(rules: readonly Rule[]): readonly Rule[] {
  return rules.map((rule) => ({
    ...rule,
    context: (context, facts) => ({
      place: rule.to === 'failed' ? null : hasPlace(context, facts) ? context.place : newPlace(facts),
      ...rule.context?.(context, facts),
    }),
  }));
}

/** A box that is made anew for its holder goes back to its own place; one that cannot be started goes to the line like others. */
export function placeAfterDrain(context: BoxContext, facts: Facts): Place | null {
  const { box } = facts.ownership;
  if (box !== null && isLive(box)) return placeOf(context, facts);
  const isReplaced = context.drainCause === 'recreate' || (context.drainCause === 'stopped' && context.attempts === 0);
  return isReplaced && facts.hasLease ? context.place : null;
}

/** There is a container that does not run, and it may not be started: others have all places. */
export function isCrowdedOut(context: BoxContext, facts: Facts): boolean {
  return !hasPlace(context, facts) && facts.admission.state !== 'open';
}

/** Somebody asks for a box, and waits for a place: it is told as soon as there is one. */
export function waitOfPlace(context: BoxContext, facts: Facts): AdmissionWait | null {
  const { mode, hasLease, ownership, admission } = facts;
  if (mode.mode !== 'run' || !hasLease || ownership.box !== null || ownership.foreign !== null) return null;
  return admission.state === 'waits' && !hasPlace(context, facts) ? admission : null;
}

/** One that was let in for a smaller box needs another place. */
function hasPlace({ place }: BoxContext, facts: Facts): boolean {
  return place !== null && place.memoryBytes >= (facts.boxClass?.limits.memory ?? 0);
}

function newPlace(facts: Facts): Place {
  return { at: facts.now, memoryBytes: facts.boxClass?.limits.memory ?? 0 };
}

export function memoryOf({ spec }: ContainerView, { boxClass }: Pick<Facts, 'boxClass'>): number {
  return spec?.memoryBytes ?? boxClass?.limits.memory ?? 0;
}

export function admissionMessage(wait: AdmissionWait, context: BoxContext): string {
  const failed = context.attempts > 0 && context.message !== '' ? `; its last try failed: ${context.message}` : '';
  if (wait.position === 0) return `it waits for a place: who has one is being counted${failed}`;
  const line = `it waits for a place: position ${wait.position} of ${wait.waiting} in line`;
  return `${line}; ${[...takenWords(wait), ...holderWords(wait)].join('; ')}${failed}`;
}

function takenWords({ boxes, memoryBytes }: AdmissionWait): string[] {
  const words = boxes.limit === null ? [] : [`${boxes.taken} of ${boxes.limit} boxes are taken`];
  if (memoryBytes.limit === null) return words;
  const [taken, limit, needed] = [memoryBytes.taken, memoryBytes.limit, memoryBytes.needed].map(humanBytes);
  return [...words, `${taken} of ${limit} memory are taken, and it needs ${needed}`];
}

function holderWords({ holders, moreHolders }: AdmissionWait): string[] {
  if (holders.length === 0) return [];
  const names = holders.map(({ user, isIdle }) => (isIdle ? `${user} (idle)` : user));
  return [`they are ${names.join(', ')}${moreHolders > 0 ? ` and ${moreHolders} more` : ''}`];
}

function overBudgetMessage({ boxClass, admission }: Facts): string {
  if (admission.state !== 'over-budget') return '';
  const { memoryBytes, budgetBytes } = admission;
  return (
    `a box of class ${boxClass?.name ?? ''} may use ${humanBytes(memoryBytes)}, and all boxes together ` +
    `${humanBytes(budgetBytes)} (SPOON_BOX_MEMORY): it can never be made; ask for a smaller class, or raise the budget`
  );
}
