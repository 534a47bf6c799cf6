import { ambushes, actKinds, type FaultKind, type ActKind, faultKinds } from './fault-plan.ts';
import { machineEdges } from './coverage.ts';
import type { SeedOptions } from './run-seed.ts';
import type { Added } from './seek.ts';

/** Everything that a story follows from. As text: `12`, `12-e57` (planned for edge 57), `12-e57+kind@at/…` (a fault beside), `12-only+…` (nothing else). */
export interface Recipe extends Pick<SeedOptions, 'edge' | 'added' | 'onlyAdded'> {
  readonly seed: number;
}

export function textOf({ seed, edge, added, onlyAdded }: Recipe): string {
  const ofEdge = edge === null ? '' : `-e${machineEdges().indexOf(edge)}`;
  const planned = onlyAdded ? '-only' : ofEdge;
  const beside = added.map(({ kind, at, ambush, forMs, which, how }) =>
    ['', `${kind}@${at}`, ambush ?? '', forMs, which, how].join('/').replace('/', '+'),
  );
  return `${seed}${planned}${beside.join('')}`;
}

export function recipeOf(text: string): Recipe {
  const [head = '', ...besides] = text.split('+');
  const parts = /^(\d+)(?:-e(\d+)|-(only))?$/.exec(head);
  if (parts === null) throw new Error(`"${text}" is no seed: a number, with -eN and +kind@… as a run printed it`);
  const edge = parts[2] === undefined ? null : machineEdges()[Number(parts[2])];
  if (edge === undefined) throw new Error(`"${text}": the machine has no edge ${parts[2]}`);
  return { seed: Number(parts[1]), edge, added: besides.map(addedOf), onlyAdded: parts[3] === 'only' };
}

function addedOf(text: string): Added {
  const [what = '', ambush = '', forMs = '', which = '', how = ''] = text.split('/');
  const [name = '', at = ''] = what.split('@');
  const kinds: readonly (FaultKind | ActKind)[] = [...faultKinds, ...actKinds];
  const kind = kinds.find((each) => each === name);
  if (kind === undefined) throw new Error(`there is no fault "${name}"`);
  return {
    kind,
    at: Number(at),
    ambush: ambushes.find((each) => each === ambush) ?? null,
    forMs: Number(forMs),
    which: Number(which),
    how: Number(how),
  };
}
