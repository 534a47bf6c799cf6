import { die, record } from './matrix.ts';
import { eachOnce, isUnlistedRequest } from './names.ts';
import { isOfRequest } from './orders.ts';
import { openSupplies } from './supplies.ts';

/** The whole crash matrix: `node test/crash/run.ts [--worlds N]`. Ends with 1 where one cell does not heal. */

const worlds = Number(process.argv[process.argv.indexOf('--worlds') + 1] || 0) || 3;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

// What has begun is cleaned up; a second one ends at once.
const ending = new AbortController();
process.once('SIGINT', () => ending.abort()).once('SIGTERM', () => ending.abort());

const startedAtMs = performance.now();
await using supplies = await openSupplies();
const { cells, wrong: wrongBefore } = await record(supplies);
say(`${cells.length} cells, recorded in ${seconds(performance.now() - startedAtMs)}`);
const { results, wrong } = await die(
  supplies,
  cells.map((cell) => [cell, cell]),
  worlds,
  ({ cell, healMs, wrong: found }) => {
    const ok = found.length > 0 ? 'WRONG' : healMs === null ? 'not passed' : 'ok';
    const healed = healMs === null ? '' : seconds(healMs);
    say(`${`${cell.failpoint} #${cell.nth}`.padEnd(42)} ${cell.scenario.name.padEnd(54)} ${healed.padStart(7)}  ${ok}`);
    for (const line of found) say(`    ${line}`);
  },
  ending.signal,
);

for (const line of [...wrongBefore, ...wrong]) say(`WRONG: ${line}`);
const healed = results.flatMap(({ healMs }) => (healMs === null ? [] : [healMs])).toSorted((a, b) => a - b);
const names = new Set(cells.map(({ failpoint }) => failpoint));
const reached = new Set(results.filter(({ healMs }) => healMs !== null).map(({ cell }) => cell.failpoint));
const unreached = [...names].filter((name) => !reached.has(name));
// The short form goes by a list: it must know of all that the stories pass.
const listed = new Set(eachOnce().map(({ failpoint }) => failpoint));
const unlisted = [...names].filter((name) => {
  return isOfRequest(name) ? isUnlistedRequest(name) : !name.startsWith('amid ') && !listed.has(name);
});
const bad = results.filter((result) => result.wrong.length > 0).length + wrongBefore.length + wrong.length;
say('');
say(
  `${names.size} failpoints, ${cells.length} cells: died in ${healed.length}, not passed in ${results.length - healed.length}, wrong ${bad}`,
);
say(`time to heal: median ${seconds(at(0.5))}, 99 % ${seconds(at(0.99))}, longest ${seconds(at(1))}`);
if (unlisted.length > 0) say(`not in names.ts: ${unlisted.join(', ')}`);
if (unreached.length > 0) say(`never died at: ${unreached.join(', ')}`);
say(`took ${seconds(performance.now() - startedAtMs)}`);
process.exitCode = bad + unreached.length + unlisted.length > 0 ? 1 : 0;

function at(share: number): number {
  return healed[Math.min(healed.length - 1, Math.floor(share * healed.length))] ?? 0;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
