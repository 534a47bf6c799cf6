import { fork } from 'node:child_process';
import { type Recipe, recipeOf, textOf } from './recipe.ts';
import { type SeedOptions, usualSeed } from './run-seed.ts';
import { type Summary, summarized } from './summary.ts';

/**
 * Runs seeds until there are no more, or `secondsMost` are over: each worker is another process, and asks for the next seed when
 * it has told the last. With one worker or none they run in this process.
 */
export async function runMany(options: {
  seeds: Iterator<Recipe>;
  minutes: number;
  workers: number;
  secondsMost: number;
  told: (summary: Summary) => void;
}): Promise<void> {
  const { seeds, minutes, workers, secondsMost, told } = options;
  const begun = performance.now();
  const next = (): string | null => {
    if (performance.now() - begun > secondsMost * 1_000) return null;
    const { value, done } = seeds.next();
    return done === true ? null : textOf(value);
  };
  if (workers <= 1) {
    const given: SeedOptions = { ...usualSeed, minutes };
    for (let seed = next(); seed !== null; seed = next()) told(await summarized(recipeOf(seed), given));
    return;
  }
  await Promise.all(Array.from({ length: workers }, () => runWorker(next, minutes, told)));
}

function runWorker(next: () => string | null, minutes: number, told: (summary: Summary) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('seed-worker.ts', import.meta.url), { execArgv: [] });
    let seed: string | null = null;
    const more = (): void => {
      seed = next();
      if (seed === null) {
        child.kill();
        resolve();
      } else child.send({ seed, minutes });
    };
    child.on('message', (summary: Summary) => {
      told(summary);
      more();
    });
    child.on('exit', (code, signal) => {
      if (seed !== null) reject(new Error(`a worker ended with ${code ?? signal} at seed ${seed}`));
    });
    more();
  });
}

export function* seedsFrom(from: number, count: number): Generator<Recipe> {
  for (let seed = from; seed < from + count; seed += 1) yield { seed, edge: null, added: [], onlyAdded: false };
}
