import { machineEdges } from './coverage.ts';
import { faultClasses, type FaultClass, lengthsMs } from './fault-plan.ts';
import { Random } from './random.ts';
import { type Recipe, recipeOf } from './recipe.ts';
import type { EdgeWitness, Report } from './report.ts';
import { howOf, splitEdge, stepOf } from './seek.ts';
import { usersOf } from './world.ts';

/** How often each cell that is not reached yet is tried. */
const roundsMost = 40;
/** For edges with more cells missing than this, so many rounds try dense plans alone. */
const fewMissing = 2;
const denseRounds = 3;
/** How long before the edge was taken a fault is added, ms: what changes who leads needs its time. */
const leadsMs = [20, 200, 1_000, 4_000, 12_000];
const takeoverLeadsMs = [200, 4_000, 15_000, 26_000, 35_000];

/**
 * What to run for the cells that a report is without: a dense plan for an edge that was never taken; a seed in which an edge was
 * taken, and a fault of the class beside it just before, for a cell. Follows from the report and `from` alone.
 */
export function* seek(report: Report, from: number, users: number): Generator<Recipe> {
  for (let round = 0; round < roundsMost; round += 1) {
    for (const edge of machineEdges()) {
      const missing = report.missing().filter((cell) => cell.edge === edge);
      if (missing.length === 0) continue;
      const witnesses = report.witnessesOf(edge);
      // A plan that is dense around an edge takes it under many classes at once.
      if (witnesses.length === 0 || missing.length > fewMissing) {
        yield { seed: from + round, edge, added: [], onlyAdded: false };
        if (round < denseRounds) continue;
      }
      for (const { faultClass } of missing) {
        const witness = witnesses[round % Math.max(1, witnesses.length)];
        if (witness === undefined || report.isReached({ edge, faultClass })) continue;
        yield beside(witness, edge, faultClass, round, users);
      }
    }
  }
}

function beside(witness: EdgeWitness, edge: string, faultClass: FaultClass, round: number, users: number): Recipe {
  const random = new Random(hashOf(`${edge}/${faultClass}/${round}`));
  const kind = random.pick(faultClasses[faultClass]);
  const isLeaders = faultClass === 'process ended' || faultClass === 'process stands still';
  const leadMs = random.pick(isLeaders ? takeoverLeadsMs : leadsMs);
  const recipe = recipeOf(witness.seed);
  const added = {
    kind,
    at: Math.max(1_000, Math.round(witness.at - leadMs)),
    ambush: null,
    forMs: random.pick(lengthsMs),
    which: isLeaders ? round2(random.next()) : (usersOf(users).indexOf(witness.user) + 0.5) / users,
    how: kind === 'status-restored' ? howOf(stepOf(splitEdge(edge)[0])) : round2(random.next()),
  };
  return { ...recipe, added: [added] };
}

function round2(share: number): number {
  return Math.floor(share * 100) / 100;
}

function hashOf(text: string): number {
  let hash = 2_166_136_261;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16_777_619);
  return hash >>> 0;
}
