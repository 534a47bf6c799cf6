import { branchLines, branchesTaken } from './branches.ts';
import { runMany, seedsFrom } from './many-seeds.ts';
import { recipeOf } from './recipe.ts';
import { Report } from './report.ts';
import { runSeed, type SeedResult, usualSeed } from './run-seed.ts';
import { seek } from './seeker.ts';
import { shrink } from './shrink.ts';
import type { Summary } from './summary.ts';

/**
 * `node test/sim/replay.ts SEED` tells the story of a seed; `--shrink` leaves out every fault and every user's acts that the
 * violation does not need; `--from N --count M --workers W` runs many seeds, tells which are red, and what they reached.
 * `--whole` goes on with seeds made for the edges × classes of faults that are still missing, and is red if any is missing then.
 * `--branches N` runs N of the seeds once more, and tells which branches of the product they took.
 * `--seconds S` begins no seed after so long. `--minutes N` is how long faults and people go on. Ends with 1 when a promise was broken.
 */

const args = process.argv.slice(2);
const number = (flag: string, otherwise: number): number => {
  const at = args.indexOf(flag);
  return at < 0 ? otherwise : Number(args[at + 1]);
};

const minutes = number('--minutes', usualSeed.minutes);
const begun = performance.now();
/** Seeds between two lines about how far it is. */
const toldEvery = 100;
const secondsMost = number('--seconds', Number.POSITIVE_INFINITY);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function tell(result: SeedResult): void {
  for (const line of result.story) say(line);
  for (const [what, times] of [...result.reached].toSorted((a, b) => b[1] - a[1])) say(`${times}\t${what}`);
  for (const violation of result.violations) say(`VIOLATED ${violation}`);
  say(`seed ${result.seed}: ${result.violations.length} violations, ${result.steps} steps`);
}

async function many(): Promise<boolean> {
  const [from, count, workers] = [number('--from', 1), number('--count', 100), number('--workers', 1)];
  const isWhole = args.includes('--whole');
  const report = new Report();
  const ran: string[] = [];
  const told = (summary: Summary): void => {
    report.add(summary);
    ran.push(summary.seed);
    if (report.ran() % toldEvery === 0) say(`${report.ran()} seeds; ${report.coverage()}`);
    if (summary.violation !== null) say(`seed ${summary.seed}: ${summary.violation}`);
  };
  const left = (): number => secondsMost - (performance.now() - begun) / 1_000;
  const common = { minutes, workers: Math.min(workers, count), told };
  await runMany({ ...common, seeds: seedsFrom(from, count), secondsMost });
  if (isWhole) {
    say(`${report.ran()} seeds by chance; ${report.coverage()}`);
    await runMany({ ...common, seeds: seek(report, from, usualSeed.users), secondsMost: left() });
  }
  for (const line of report.lines()) say(line);
  const sample = number('--branches', 0);
  if (sample > 0) for (const line of branchLines(await branchesTaken(spread(ran, sample), minutes))) say(line);
  say(`${((performance.now() - begun) / 1_000).toFixed(0)} s with ${workers} workers`);
  const missing = isWhole ? report.missing() : [];
  for (const { edge, faultClass } of missing) say(`MISSING ${edge}, under a fault of the class "${faultClass}"`);
  return report.violations().length + report.wronglyListed().length + missing.length > 0;
}

/** So many of them, from all over the run. */
function spread(all: readonly string[], count: number): string[] {
  const every = Math.max(1, Math.floor(all.length / count));
  return all.filter((_each, index) => index % every === 0).slice(0, count);
}

async function one(text: string): Promise<boolean> {
  const { seed, ...planned } = recipeOf(text);
  const options = { ...usualSeed, minutes, ...planned };
  const shrunk = args.includes('--shrink') ? await shrink(seed, options, say) : null;
  const result = shrunk?.result ?? (await runSeed(seed, options));
  tell(result);
  if (shrunk !== null) {
    const { leftOut, runs } = shrunk;
    say(
      `left out after ${runs} runs: what ${[...leftOut.users].join(', ') || 'nobody'} would have done, and ${leftOut.faults.size} faults; left:`,
    );
    for (const { index, kind, at, ambush } of result.faults) {
      say(
        `  fault ${index}: ${kind}, from ${(at / 1_000).toFixed(1)} s on${ambush === null ? '' : `, when some box is ${ambush}`}`,
      );
    }
  }
  return result.violations.length > 0;
}

process.exitCode = (await (args.includes('--count') ? many() : one(args[0] ?? ''))) ? 1 : 0;
process.exit();
