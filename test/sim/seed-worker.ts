import { usualSeed } from './run-seed.ts';
import { summarized } from './summary.ts';

/** A process that runs the seeds it is sent, one after the other. */
process.on('message', (given: { seed: number; minutes: number }) => {
  void summarized(given.seed, { ...usualSeed, minutes: given.minutes }).then((summary) => process.send?.(summary));
});
