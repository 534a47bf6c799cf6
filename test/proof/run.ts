import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parts } from './parts.ts';
import { reportOf } from './report.ts';
import { type Outcome, runPart } from './run-part.ts';

const folder = '.spoonbox/proof';
const usage = `Usage: npm run proof [-- PART ... ] [-- --share S]

The long forms of all proofs, one after the other; the whole takes hours. Ends with 1 when one of them is red.
The report is ${folder}/report.md, and is written anew after each part; beside it, what each part printed.

  PART        only these: ${parts.map(({ name }) => name).join(', ')}
  --share S   a share of the seeds, inputs and minutes, in (0, 1]: 0.01 to see that everything runs
  --help      this text`;

process.exit(await main());

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { share: { type: 'string', default: '1' }, help: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const share = Number(values.share);
  if (!(share > 0 && share <= 1)) return refuse(`--share ${values.share} is not in (0, 1]`);
  const unknown = positionals.filter((name) => !parts.some((part) => part.name === name));
  if (unknown.length > 0) return refuse(`there is no part ${unknown.join(', ')}`);
  const chosen = parts.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort());
  mkdirSync(folder, { recursive: true });
  const report = join(folder, 'report.md');
  const startedAt = new Date();
  const outcomes: Outcome[] = [];
  for (const part of chosen) {
    if (ending.signal.aborted) break;
    console.log(`\n..  ${part.name}: ${part.shows}`);
    const outcome = await runPart(part, share, join(folder, `${part.name}.log`), ending.signal);
    outcomes.push(outcome);
    writeFileSync(report, reportOf(outcomes, startedAt));
    console.log(`${outcome.verdict === 'nothing found' ? 'ok' : '!!'}  ${part.name}: ${outcome.verdict}`);
  }
  console.log(`\nthe report is ${report}`);
  if (ending.signal.aborted) return 130;
  return outcomes.every(({ verdict }) => verdict === 'nothing found') ? 0 : 1;
}

function refuse(why: string): number {
  console.error(`${why}\n\n${usage}`);
  return 2;
}
