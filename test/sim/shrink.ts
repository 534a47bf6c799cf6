import { type LeftOut, nothingLeftOut, runSeed, type SeedOptions, type SeedResult } from './run-seed.ts';
import { usersOf } from './world.ts';

export interface Shrunk {
  readonly result: SeedResult;
  readonly leftOut: LeftOut;
  readonly runs: number;
}

/** No story is told more often than this to find a smaller one. */
const runsMost = 400;

/**
 * The same story with as few users and faults as break the same promise: first users, then faults, halves before quarters
 * (Zeller's ddmin), until not one more can be left out. Null = no promise is broken.
 */
export async function shrink(seed: number, options: SeedOptions, tell: (line: string) => void): Promise<Shrunk | null> {
  let leftOut: LeftOut = { ...nothingLeftOut, afterRed: true };
  let result = await runSeed(seed, options, leftOut);
  const promise = promiseOf(result);
  if (promise === '') return null;
  let runs = 1;
  const attempt = async (without: LeftOut): Promise<boolean> => {
    if (runs >= runsMost) return false;
    runs += 1;
    const smaller = await runSeed(seed, options, without);
    if (promiseOf(smaller) !== promise) return false;
    leftOut = without;
    result = smaller;
    tell(`${runs} runs: ${result.faults.length} faults, ${usersOf(options.users).length - leftOut.users.size} users`);
    return true;
  };
  const users = await fewest(usersOf(options.users), (kept) =>
    attempt({ ...leftOut, users: without(usersOf(options.users), kept) }),
  );
  const all = result.faults.map(({ index }) => index);
  await fewest(all, (kept) => attempt({ ...leftOut, faults: without(all, kept) }));
  // With fewer faults more users may be of no account.
  await fewest(users, (kept) => attempt({ ...leftOut, users: without(usersOf(options.users), kept) }));
  return { result, leftOut, runs };
}

/** A part of `items` that still `breaks`, of which no single one can be left out. */
async function fewest<Item>(
  items: readonly Item[],
  breaks: (kept: readonly Item[]) => Promise<boolean>,
): Promise<readonly Item[]> {
  let kept = items;
  for (let parts = 1; kept.length > 0; ) {
    const size = Math.ceil(kept.length / parts);
    let isSmaller = false;
    for (let from = 0; from < kept.length; ) {
      const rest = [...kept.slice(0, from), ...kept.slice(from + size)];
      if (await breaks(rest)) {
        kept = rest;
        isSmaller = true;
      } else from += size;
    }
    if (size <= 1 && !isSmaller) break;
    parts = Math.min(kept.length, parts * 2);
  }
  return kept;
}

function without<Item>(all: readonly Item[], kept: readonly Item[]): Set<Item> {
  return new Set(all.filter((item) => !kept.includes(item)));
}

/** The number of the promise: a smaller story must break the same one. */
function promiseOf(result: SeedResult): string {
  return /never (\d+):/.exec(result.violations[0] ?? '')?.[1] ?? '';
}
