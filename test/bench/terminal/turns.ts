import type { Bench } from '../support/bench.ts';

export type RoundSamples = number[][];
type Try = (round: number) => Promise<readonly number[]>;

/**
 * One try of each in every round, each round beginning with another, so that none always follows the same one. The first rounds,
 * one if nothing else is said, warm the caches and are not counted.
 */
export async function inTurn(
  bench: Bench,
  signal: AbortSignal,
  usualRounds: number,
  name: string,
  tries: readonly [Try, Try, Try],
  warmUps = 1,
): Promise<readonly [RoundSamples, RoundSamples, RoundSamples]> {
  const rounds = bench.number('rounds', usualRounds);
  const samples: readonly [RoundSamples, RoundSamples, RoundSamples] = [[], [], []];
  for (let round = 1 - warmUps; round <= rounds; round++) {
    for (let turn = 0; turn < tries.length; turn++) {
      signal.throwIfAborted();
      const index = (round + warmUps + turn) % tries.length;
      const found = (await tries[index]?.(round)) ?? [];
      if (round > 0) samples[index]?.push([...found]);
    }
    if (round % 5 === 0) bench.progress(`${name}: round ${round} of ${rounds}`);
  }
  return samples;
}
