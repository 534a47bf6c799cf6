import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type Breakage, breakages } from './breakages.ts';
import { brokenText } from './broken-text.ts';

/**
 * Applies one breakage after the other to a copy of the tree, and runs the tests that must catch it.
 *   node test/breakages/run.ts [--only N]     N counts from 1, N-M is a range; or a part of the breakage's name
 * Ends with 1 where a breakage was not caught, or where a named test is not green on the unbroken tree.
 */

const root = new URL('../..', import.meta.url).pathname;
const notCopied = new Set(['node_modules', '.git', '.spoonbox']);
/** A breakage may make a test wait for ever: that is caught, too. */
const testFileWithinMs = 300_000;

const Report = z.object({
  testResults: z.array(z.object({ assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })) })),
});

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const chosen = breakages.map((breakage, at) => ({ breakage, number: at + 1 })).filter(isChosen);
if (chosen.length === 0) throw new Error(`--only ${values.only}: there is no such breakage`);

const tree = mkdtempSync(join(tmpdir(), 'spoonbox-breakages-'));
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
try {
  cpSync(root, tree, {
    recursive: true,
    filter: (path) => !notCopied.has(path.slice(root.length).split('/')[0] ?? ''),
  });
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  process.exitCode = await runAll();
} finally {
  rmSync(tree, { recursive: true, force: true });
}

async function runAll(): Promise<number> {
  const startedAt = performance.now();
  console.log(`${chosen.length} breakages; the unbroken tree first`);
  const problems = await checkUnbroken();
  for (const { breakage, number } of chosen) {
    stop.signal.throwIfAborted();
    const caughtBy = await tryOne(breakage);
    if (caughtBy === null) problems.push(`${number}. ${breakage.name}`);
    console.log(`${String(number).padStart(3)}. ${breakage.name}\n       ${breakage.file}`);
    console.log(caughtBy === null ? '       NOT CAUGHT' : `       caught by ${breakage.caughtBy.file}: ${caughtBy}`);
  }
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  console.log(`${chosen.length - problems.length} of ${chosen.length} caught, in ${seconds} s`);
  for (const problem of problems) console.log(`NOT CAUGHT: ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

/** A test that is red anyway catches nothing. */
async function checkUnbroken(): Promise<string[]> {
  const problems: string[] = [];
  const byFile = Map.groupBy(chosen, ({ breakage }) => breakage.caughtBy.file);
  for (const [file, of] of byFile) {
    const tests = await runTests(file, null);
    for (const { breakage } of of) {
      const named = tests?.filter(({ fullName }) => fullName.includes(breakage.caughtBy.test)) ?? [];
      if (named.length > 0 && named.every(({ status }) => status === 'passed')) continue;
      const why = named.length === 0 ? 'there is no such test' : 'it is red on the unbroken tree';
      problems.push(`${breakage.name}: ${file}: "${breakage.caughtBy.test}": ${why}`);
    }
  }
  return problems;
}

/** The full name of the test that caught it; null where none did. */
async function tryOne({ file, text, replacement, caughtBy }: Breakage): Promise<string | null> {
  const path = join(tree, file);
  const original = readFileSync(path, 'utf8');
  writeFileSync(path, brokenText(original, { file, text, replacement }));
  try {
    const tests = await runTests(caughtBy.file, caughtBy.test);
    if (tests === null) return `${caughtBy.test} (it did not end within ${testFileWithinMs / 1_000} s)`;
    const red = tests.find(({ fullName, status }) => status === 'failed' && fullName.includes(caughtBy.test));
    return red?.fullName ?? null;
  } finally {
    writeFileSync(path, original);
  }
}

/** How each test of a file ended; null where the run did not. */
async function runTests(file: string, name: string | null): Promise<{ fullName: string; status: string }[] | null> {
  const report = join(tree, 'breakage-report.json');
  rmSync(report, { force: true });
  const named = name === null ? [] : ['-t', name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')];
  const args = ['run', '-c', 'test/vitest.config.ts', '--reporter=json', `--outputFile=${report}`, ...named, file];
  const child = spawn(join(tree, 'node_modules/.bin/vitest'), args, {
    cwd: tree,
    stdio: ['ignore', 'ignore', 'ignore'],
    signal: AbortSignal.any([stop.signal, AbortSignal.timeout(testFileWithinMs)]),
    killSignal: 'SIGKILL',
  });
  let gaveUp = false;
  child.on('error', () => {
    gaveUp = true;
  });
  await once(child, 'exit').catch(() => {});
  stop.signal.throwIfAborted();
  if (gaveUp) return null;
  if (!existsSync(report)) return [];
  return Report.parse(JSON.parse(readFileSync(report, 'utf8'))).testResults.flatMap((each) => each.assertionResults);
}

function isChosen({ breakage, number }: { breakage: Breakage; number: number }): boolean {
  const { only } = values;
  if (only === undefined) return true;
  const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(only) ?? [];
  if (from === undefined) return breakage.name.includes(only);
  return number >= Number(from) && number <= Number(to ?? from);
}
