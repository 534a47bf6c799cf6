import { runSeed, type SeedResult, usualSeed } from './run-seed.ts';

/**
 * `node test/sim/replay.ts SEED` tells the story of a seed; `--shrink` leaves out every fault that the violation does not need;
 * `--from N --count M` runs many seeds and tells which are red. `--minutes N` is how long faults and people go on.
 */

const args = process.argv.slice(2);
const number = (flag: string, otherwise: number): number => {
  const at = args.indexOf(flag);
  return at < 0 ? otherwise : Number(args[at + 1]);
};

const options = { ...usualSeed, minutes: number('--minutes', usualSeed.minutes) };

function tell(result: SeedResult): void {
  for (const line of result.story) process.stdout.write(`${line}\n`);
  for (const violation of result.violations) process.stdout.write(`VIOLATED ${violation}\n`);
  for (const [what, times] of [...result.reached].toSorted((a, b) => b[1] - a[1]))
    process.stdout.write(`${times}\t${what}\n`);
  process.stdout.write(`seed ${result.seed}: ${result.violations.length} violations, ${result.steps} steps\n`);
}

async function shrink(seed: number): Promise<SeedResult> {
  const leftOut = new Set<number>();
  let smallest = await runSeed(seed, options);
  for (const fault of smallest.faults) {
    const without = await runSeed(seed, options, new Set([...leftOut, fault.index]));
    if (without.violations.length === 0) continue;
    leftOut.add(fault.index);
    smallest = without;
  }
  return smallest;
}

if (args.includes('--count')) {
  const from = number('--from', 1);
  let red = 0;
  const begun = performance.now();
  const count = number('--count', 100);
  for (let seed = from; seed < from + count; seed += 1) {
    const result = await runSeed(seed, options);
    if (result.violations.length === 0) continue;
    red += 1;
    process.stdout.write(`seed ${seed}: ${result.violations[0]}\n`);
  }
  const seconds = (performance.now() - begun) / 1_000;
  process.stdout.write(`${count} seeds, ${red} red, ${(seconds / count).toFixed(2)} s each\n`);
  process.exitCode = red > 0 ? 1 : 0;
} else {
  const seed = Number(args[0]);
  const result = args.includes('--shrink') ? await shrink(seed) : await runSeed(seed, options);
  tell(result);
  process.exitCode = result.violations.length > 0 ? 1 : 0;
}
process.exit();
