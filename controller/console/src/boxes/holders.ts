import type { BoxView } from '#shared/api-schemas.ts';

/** Who holds a box, short: `job of agent-7, 2 terminals`. */
export function holdersText({ leases }: Pick<BoxView, 'leases'>): string {
  const terminals = leases.filter(({ kind }) => kind === 'terminal').length;
  const others = leases.filter(({ kind }) => kind !== 'terminal').map(({ kind, holder }) => `${kind} of ${holder}`);
  const shown = terminals === 0 ? others : [...others, terminals === 1 ? 'a terminal' : `${terminals} terminals`];
  return shown.join(', ');
}
