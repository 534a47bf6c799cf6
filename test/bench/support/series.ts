/** One try of what is measured: only `run` counts. */
export interface Attempt {
  prepare(): Promise<void>;
  run(): Promise<void>;
  clean(): Promise<void>;
}

/** Samples of one thing: `attempts` are made at once, and the slowest of them is the sample. */
export interface Series {
  readonly name: string;
  readonly samplesMs: number[];
  readonly attempts: (round: number) => Attempt[];
}

/**
 * One sample of every series in each round, in an order that is turned round by round, so that no series always follows the
 * same one. Round 0 warms the caches and is not counted.
 */
export async function takeTurns(
  series: readonly Series[],
  rounds: number,
  onRound: (round: number) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let round = 0; round <= rounds; round++) {
    for (const { samplesMs, attempts } of round % 2 === 0 ? series : series.toReversed()) {
      signal.throwIfAborted();
      const tookMs = await slowestOf(attempts(round));
      if (round > 0) samplesMs.push(tookMs);
    }
    onRound(round);
  }
}

async function slowestOf(attempts: readonly Attempt[]): Promise<number> {
  await Promise.all(attempts.map((attempt) => attempt.prepare()));
  const begin = performance.now();
  await Promise.all(attempts.map((attempt) => attempt.run()));
  const tookMs = performance.now() - begin;
  await Promise.all(attempts.map((attempt) => attempt.clean()));
  return tookMs;
}
