import type { BoxEventView } from '#shared/api-schemas.ts';

/** An edge that a box took lately. */
export interface Taken {
  readonly from: string;
  readonly to: string;
  /** when it was taken, counted from the first of those that are shown; the last one counts */
  readonly order: number;
  readonly rule: string;
  readonly at: number;
}

/** How many steps back are shown. */
export const takenShown = 8;

/** The last edges, the newest last; `events` has the newest first. Steps that changed no state are left out. */
export function takenEdges(events: readonly BoxEventView[]): readonly Taken[] {
  return events
    .flatMap(({ edge, at }) => (edge === null || edge.from === edge.to ? [] : [{ ...edge, at }]))
    .slice(0, takenShown)
    .reverse()
    .map((edge, index) => ({ ...edge, order: index + 1 }));
}

export function edgeKey({ from, to }: { readonly from: string; readonly to: string }): string {
  return `${from} ${to}`;
}
