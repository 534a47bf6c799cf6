import { parseArgs } from 'node:util';
import { belongings, leakedSince } from './leaks.ts';
import { targets } from './targets.ts';

/**
 * The long form: node test/fuzz/run.ts --inputs N --seed S [--only NAME]
 * Prints how many inputs each target got, and what was found (a failure, or something left behind: memory, handles, open
 * files and sockets); ends with 1 where anything was.
 */
const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string', default: '' },
  },
});
const [inputs, seed] = [Number(values.inputs), Number(values.seed)];
if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed)) {
  throw new Error(`--inputs and --seed are whole numbers, not ${values.inputs} and ${values.seed}`);
}

const warmUpInputs = 200;
const found: string[] = [];
process.on('unhandledRejection', (error) => found.push(`unhandled rejection: ${String(error)}`));
process.on('uncaughtExceptionMonitor', (error) => console.log(`the process ends: ${error.stack}`));

const chosen = targets.filter(({ name }) => name.includes(values.only));
const shares = chosen.reduce((sum, { share }) => sum + share, 0);
console.log(`seed ${seed}`);
let tried = 0;
const startedAt = performance.now();
for (const target of chosen) {
  const count = Math.max(1, Math.ceil((inputs * target.share) / shares));
  // The first inputs load what stays: compiled code, tables, pools.
  await target.run(Math.min(count, warmUpInputs), seed + 1).catch(() => {});
  const before = belongings();
  const began = performance.now();
  let verdict = 'nothing found';
  try {
    await target.run(count, seed);
  } catch (error) {
    verdict = 'FOUND';
    const cause = error instanceof Error && error.cause instanceof Error ? (error.cause.stack ?? '') : '';
    found.push(`${target.name}: ${cause}\n${error instanceof Error ? error.message : String(error)}`);
  }
  const leaked = await leakedSince(before);
  if (leaked !== '') {
    verdict = 'FOUND';
    found.push(`${target.name}: left behind after ${count} inputs: ${leaked}`);
  }
  tried += count;
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  console.log(`${target.name.padEnd(40)} ${String(count).padStart(9)} inputs ${seconds.padStart(8)} s  ${verdict}`);
}
console.log(`${tried} inputs in ${Math.round((performance.now() - startedAt) / 1_000)} s, ${found.length} found`);
for (const one of found) console.log(`\n${one.slice(0, 4_000)}`);
process.exitCode = found.length === 0 ? 0 : 1;
