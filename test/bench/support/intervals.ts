import { percentile, rounded } from './statistics.ts';

/** How sure a measured value is: bootstrap over whole rounds, so that a noisy minute of the machine counts as one. */

export interface Interval {
  readonly value: number;
  /** the 95 % interval */
  readonly low: number;
  readonly high: number;
}

/** The samples of each round, of one series. */
export type Rounds = readonly (readonly number[])[];

const resamples = 1_000;
const outsideShare = 0.025;
/** So that the same samples always give the same interval. */
const seed = 0x5b00;

/** The percentile `p` of `ours` by that of `base`, measured in the same rounds. */
export function ratioInterval(ours: Rounds, base: Rounds, p: number): Interval {
  if (ours.length !== base.length) throw new Error(`${ours.length} rounds cannot be compared with ${base.length}`);
  return bootstrap(ours.length, (picked) => percentileOf(ours, picked, p) / percentileOf(base, picked, p));
}

export function valueInterval(ours: Rounds, p: number): Interval {
  return bootstrap(ours.length, (picked) => percentileOf(ours, picked, p));
}

/** `1.12 [1.08, 1.17]` */
export function intervalText({ value, low, high }: Interval): string {
  return `${rounded(value)} [${rounded(low)}, ${rounded(high)}]`;
}

function bootstrap(rounds: number, statistic: (picked: readonly number[]) => number): Interval {
  if (rounds === 0) throw new Error('no rounds: nothing was measured');
  const random = randomOf(seed);
  const all = Array.from({ length: rounds }, (_, index) => index);
  const values = Array.from({ length: resamples }, () => statistic(all.map(() => Math.floor(random() * rounds))));
  return {
    value: statistic(all),
    low: percentile(values, outsideShare),
    high: percentile(values, 1 - outsideShare),
  };
}

/** Of all samples of the picked rounds together: the nearest one that was really measured. */
function percentileOf(rounds: Rounds, picked: readonly number[], p: number): number {
  const sorted = Float64Array.from(picked.flatMap((index) => rounds[index] ?? [])).sort();
  const value = sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)];
  if (value === undefined) throw new Error('no samples: nothing was measured');
  return value;
}

/** mulberry32 */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
