import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Stryker } from '@stryker-mutator/core';
import { parts, reportFile, strykerOptions } from './options.ts';
import { compared, Report, type Survivor, survivorsOf } from './survivors.ts';

/**
 * The mutation score, `node test/mutation/run.ts [part or file…] [--concurrency N]`: StrykerJS changes one thing at a time in the parts
 * that decide, and the quick tests must notice. Red below 90 %, and for every survivor that `survivors.json` does not explain.
 */
const leastScore = 90;

const { values, positionals } = parseArgs({
  options: { concurrency: { type: 'string', default: '2' } },
  allowPositionals: true,
});
const chosen = positionals.length > 0 ? positionals : Object.keys(parts);
const strange = chosen.filter((part) => !(part in parts) && !existsSync(part));
const concurrency = Number(values.concurrency);
if (strange.length > 0 || !Number.isInteger(concurrency) || concurrency < 1) {
  console.error(`usage: node test/mutation/run.ts [${Object.keys(parts).join('|')}|file]… [--concurrency N]`);
  process.exit(2);
}

const begunAt = performance.now();
await new Stryker(strykerOptions(chosen, concurrency)).runMutationTest();
const report = Report.parse(JSON.parse(readFileSync(reportFile, 'utf8')));

console.log('\n  score  mutants  killed  survived');
for (const file of Object.keys(report.files).toSorted()) console.log(scoreLine(file, [file]));
const total = scoreOf(Object.keys(report.files));
console.log(scoreLine('all', Object.keys(report.files)));
console.log(`in ${Math.round((performance.now() - begunAt) / 60_000)} min, ${concurrency} at once`);

const { unknown, gone } = compared(survivorsOf(report));
const ofChosen = gone.filter(({ file }) => file in report.files);
for (const survivor of ofChosen) console.log(`no longer survives, to be struck off the list: ${textOf(survivor)}`);
for (const survivor of unknown) console.error(`survives, and nobody says why: ${textOf(survivor)}`);
const isTooLow = !(total.score >= leastScore);
if (isTooLow) console.error(`the score is ${total.score.toFixed(1)} %, and must be ${leastScore} % at least`);
if (unknown.length > 0)
  console.error('write a test that notices it, or say in test/mutation/survivors.json why it may live');
process.exitCode = unknown.length > 0 || isTooLow ? 1 : 0;

function scoreOf(files: readonly string[]): { score: number; killed: number; survived: number } {
  const statuses = files.flatMap((file) => report.files[file]?.mutants.map(({ status }) => status) ?? []);
  const killed = statuses.filter((status) => status === 'Killed' || status === 'Timeout').length;
  const survived = statuses.filter((status) => status === 'Survived' || status === 'NoCoverage').length;
  return { score: (100 * killed) / (killed + survived), killed, survived };
}

function scoreLine(name: string, files: readonly string[]): string {
  const { score, killed, survived } = scoreOf(files);
  const numbers = [killed + survived, killed, survived].map((count) => String(count).padStart(8)).join('');
  return killed + survived === 0 ? `      -${numbers}  ${name}` : `${score.toFixed(1).padStart(7)}${numbers}  ${name}`;
}

function textOf({ file, line, original, replacement }: Survivor): string {
  return `${file}: \`${original}\` → \`${replacement}\` in \`${line}\``;
}
