import { type Command, noCommand } from './command.ts';
import type { BoxContext } from './context.ts';
import type { Facts } from './facts.ts';
import type { ContainerView } from './observed.ts';
import { isLive } from './ownership.ts';

/** The states of the machine that a rule may lead to. */
export type Target =
  | 'absent'
  | 'provisioning.pulling'
  | 'provisioning.creating'
  | 'provisioning.starting'
  | 'provisioning.probing'
  | 'ready.active'
  | 'ready.idle'
  | 'reaping.stopping'
  | 'reaping.removing'
  | 'failed';

/** One edge: the first rule of a state whose `when` holds is taken. No `to` = stay. */
export interface Rule {
  /** a sentence; shown by the console beside the edge */
  readonly name: string;
  readonly when: (context: BoxContext, facts: Facts) => boolean;
  readonly to?: Target;
  readonly context?: (context: BoxContext, facts: Facts) => Partial<BoxContext>;
  readonly command?: (context: BoxContext, facts: Facts) => Command;
}

export const engineDown: Rule = {
  name: 'the engine does not answer: nothing is known, nothing is concluded',
  when: (_context, facts) => facts.engineDown !== null,
};

export function withBox(facts: Facts, make: (box: ContainerView) => Command): Command {
  return facts.ownership.box === null ? noCommand : make(facts.ownership.box);
}

/** There is one, and processes of a user may exist in it. */
export function isLiveContainer(container: ContainerView | null): boolean {
  return container !== null && isLive(container);
}
