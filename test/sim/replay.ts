import { fork } from 'node:child_process';
import { type LeftOut, nothingLeftOut, runSeed, type SeedResult, usualSeed } from './run-seed.ts';
import { Report, type Summary, summarized } from './summary.ts';

/**
 * `node test/sim/replay.ts SEED` tells the story of a seed; `--shrink` leaves out every fault and every user's acts that the
 * violation does not need; `--from N --count M --workers W` runs many seeds, tells which are red, and what they reached.
 * `--seconds S` begins no seed after so long. `--minutes N` is how long faults and people go on. Ends with 1 when a promise was broken.
 */

const args = process.argv.slice(2);
const number = (flag: string, otherwise: number): number => {
  const at = args.indexOf(flag);
  return at < 0 ? otherwise : Number(args[at + 1]);
};

const options = { ...usualSeed, minutes: number('--minutes', usualSeed.minutes) };
const begun = performance.now();
const secondsMost = number('--seconds', Number.POSITIVE_INFINITY);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function tell(result: SeedResult): void {
  for (const line of result.story) say(line);
  for (const [what, times] of [...result.reached].toSorted((a, b) => b[1] - a[1])) say(`${times}\t${what}`);
  for (const violation of result.violations) say(`VIOLATED ${violation}`);
  say(`seed ${result.seed}: ${result.violations.length} violations, ${result.steps} steps`);
}

/** The number of the promise: a smaller story must break the same one. */
function promiseOf(result: SeedResult): string {
  return /never (\d+):/.exec(result.violations[0] ?? '')?.[1] ?? '';
}

async function shrink(seed: number): Promise<SeedResult> {
  let smallest = await runSeed(seed, options);
  const promise = promiseOf(smallest);
  if (promise === '') return smallest;
  let leftOut: LeftOut = nothingLeftOut;
  const attempt = async (without: LeftOut): Promise<void> => {
    const result = await runSeed(seed, options, without);
    if (promiseOf(result) !== promise) return;
    leftOut = without;
    smallest = result;
  };
  const users = ['alice', 'bob', 'carol', 'dave', 'erin'];
  for (const user of users) await attempt({ ...leftOut, users: new Set([...leftOut.users, user]) });
  for (const { index } of smallest.faults) await attempt({ ...leftOut, faults: new Set([...leftOut.faults, index]) });
  say(`left out: the acts of ${[...leftOut.users].join(', ') || 'nobody'}; faults ${[...leftOut.faults].join(', ')}`);
  return smallest;
}

/** Each worker is another process, and asks for the next seed when it has told the last. */
async function runMany(from: number, count: number, workers: number, report: Report): Promise<void> {
  let next = from;
  const isOver = (): boolean => next >= from + count || performance.now() - begun > secondsMost * 1_000;
  const told = (summary: Summary): void => {
    report.add(summary);
    if (summary.violation !== null) say(`seed ${summary.seed}: ${summary.violation}`);
  };
  if (workers <= 1) {
    for (; !isOver(); next += 1) told(await summarized(next, options));
    return;
  }
  const worker = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(new URL('seed-worker.ts', import.meta.url));
      const more = (): void => {
        if (isOver()) {
          child.kill();
          resolve();
          return;
        }
        child.send({ seed: next, minutes: options.minutes });
        next += 1;
      };
      child.on('message', (summary: Summary) => {
        told(summary);
        more();
      });
      child.on('exit', (code) => {
        if (code !== null) reject(new Error(`a worker ended with ${code}, at a seed before ${next}`));
      });
      more();
    });
  await Promise.all(Array.from({ length: Math.min(workers, count) }, worker));
}

if (args.includes('--count')) {
  const count = number('--count', 100);
  const workers = number('--workers', 1);
  const report = new Report();
  await runMany(number('--from', 1), count, workers, report);
  for (const line of report.lines()) say(line);
  say(`${((performance.now() - begun) / 1_000).toFixed(0)} s with ${workers} workers`);
  process.exitCode = report.isRed() ? 1 : 0;
} else {
  const seed = Number(args[0]);
  const result = args.includes('--shrink') ? await shrink(seed) : await runSeed(seed, options);
  tell(result);
  process.exitCode = result.violations.length > 0 ? 1 : 0;
}
process.exit();
