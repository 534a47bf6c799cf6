import type { BoxView } from '#shared/api-schemas.ts';
import type { Phase } from '#shared/status.ts';
import type { Boxes } from '../live/boxes.ts';

/** What of the boxes is shown. */
export interface Filter {
  /** words that are all to be found in a box's user, class, holders or message */
  readonly text: string;
  /** null = all */
  readonly phase: Phase | null;
}

export const noFilter: Filter = { text: '', phase: null };

/** Those that match, by name. */
export function filtered(boxes: Boxes, { text, phase }: Filter): BoxView[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return [...boxes.values()]
    .filter((box) => phase === null || box.phase === phase)
    .filter((box) => {
      const found = textOf(box);
      return words.every((word) => found.includes(word));
    })
    .sort((a, b) => (a.user < b.user ? -1 : 1));
}

export function countsOf(boxes: Boxes): ReadonlyMap<Phase, number> {
  const counts = new Map<Phase, number>();
  for (const { phase } of boxes.values()) counts.set(phase, (counts.get(phase) ?? 0) + 1);
  return counts;
}

function textOf({ user, class: name, step, message, leases }: BoxView): string {
  const holders = leases.map(({ id, kind, holder }) => `${id} ${kind} ${holder}`);
  return [user, name ?? '', step ?? '', message, ...holders].join(' ').toLowerCase();
}
