import type { BoxContext } from './context.ts';
import { removeCommand, stopCommand } from './draining.ts';
import type { Facts } from './facts.ts';
import type { ContainerView } from './observed.ts';
import { isLive } from './ownership.ts';
import { isLiveContainer, type Rule } from './rules.ts';

/** A container that is not ours under the box's name: never touched, unless an operator consented to its replacement. */

/** Engines, and our own messages, show this much of a container's id. */
const shortIdLength = 12;

/** The foreign container under the box's name, where an operator consented to its replacement. */
export function consentedForeign(facts: Facts): ContainerView | null {
  const { desired, ownership } = facts;
  const { foreign } = ownership;
  return foreign !== null && desired !== null && isNamed(foreign.id, desired.adoptContainerId) ? foreign : null;
}

/** The same, once it may really go: nothing is executed in it any more, or the operator said now. */
export function adoptable(facts: Facts): ContainerView | null {
  const foreign = consentedForeign(facts);
  if (foreign === null) return null;
  return !isLive(foreign) || facts.desired?.adoptAtOnce || facts.foreignExecs === 0 ? foreign : null;
}

export const adoptions: readonly Rule[] = [
  {
    name: 'an operator consented to replace the foreign container: stop it',
    when: (_context, facts) => isLiveContainer(adoptable(facts)),
    to: 'reaping.stopping',
    context: beginAdopt,
    command: (_context, facts) => stopCommand(adoptable(facts), 'adopt', facts),
  },
  {
    name: 'an operator consented to replace the foreign container: remove it',
    when: (_context, facts) => adoptable(facts) !== null,
    to: 'reaping.removing',
    context: beginAdopt,
    command: (_context, facts) => removeCommand(adoptable(facts), 'adopt'),
  },
];

export function foreignMessage(facts: Facts): string {
  const { foreign } = facts.ownership;
  if (foreign === null) return '';
  const what = `container ${foreign.name} (${foreign.id.slice(0, shortIdLength)}) was not made by this installation`;
  if (consentedForeign(facts) !== null) return `${what}; it is replaced once no command runs in it`;
  return `${what} and is not touched; remove or rename it, or allow its replacement with the action adopt`;
}

/** By its id, or by the beginning of it that people are shown; the commit script asks the same. */
function isNamed(id: string, by: string): boolean {
  return id === by || (by.length >= shortIdLength && id.startsWith(by));
}

function beginAdopt(_context: BoxContext, facts: Facts): Partial<BoxContext> {
  return { drainId: facts.ownership.foreign?.id ?? '', drainCause: 'adopt', retryAt: 0 };
}
