import { runSeed, type SeedOptions, type SeedResult } from './run-seed.ts';
import { type Recipe, textOf } from './recipe.ts';

/** What is kept of a seed among many; it goes from process to process. */
export interface Summary {
  /** its recipe, as it is replayed */
  readonly seed: string;
  readonly violation: string | null;
  readonly faults: number;
  readonly steps: number;
  readonly healMs: number | null;
  readonly reached: readonly (readonly [string, number])[];
  /** edge, fault class, times */
  readonly edges: readonly (readonly [string, string, number])[];
  /** edge, when it was taken first, of whom */
  readonly first: readonly (readonly [string, number, string])[];
}

/** An error of the simulation itself is as red as a broken promise: nothing was proved. */
export async function summarized(recipe: Recipe, options: SeedOptions): Promise<Summary> {
  const { seed, edge, added, onlyAdded } = recipe;
  const text = textOf(recipe);
  try {
    return summaryOf(text, await runSeed(seed, { ...options, edge, added, onlyAdded }));
  } catch (error) {
    const violation = error instanceof Error ? `the simulation failed: ${error.stack}` : String(error);
    return { seed: text, violation, faults: 0, steps: 0, healMs: null, reached: [], edges: [], first: [] };
  }
}

function summaryOf(seed: string, { violations, faults, steps, healMs, reached, coverage }: SeedResult): Summary {
  const edges = [...coverage.edges].flatMap(([edge, classes]) =>
    [...classes].map(([name, times]) => [edge, name, times] as const),
  );
  const first = [...coverage.first].map(([edge, { at, user }]) => [edge, at, user] as const);
  const violation = violations[0] ?? null;
  return { seed, violation, faults: faults.length, steps, healMs, reached: [...reached], edges, first };
}
