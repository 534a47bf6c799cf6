import { recipeOf } from './recipe.ts';
import { usualSeed } from './run-seed.ts';
import { summarized } from './summary.ts';

/** A process that runs the seeds it is sent, one after the other. */
process.on('message', (given: { seed: string; minutes: number }) => {
  const options = { ...usualSeed, minutes: given.minutes };
  void summarized(recipeOf(given.seed), options).then((summary) => process.send?.(summary));
});
