import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ensureConsole } from './machine/console.ts';
import { packaged, runForeground } from './machine/foreground.ts';
import { browser, compose, ensureOptional, nginx, registry } from './machine/optional.ts';
import { places } from './machine/places.ts';
import { Refusal } from './machine/refusal.ts';
import { runScript } from './machine/script.ts';
import { say, step } from './machine/steps.ts';
import { prepareTestMachine } from './machine/test-machine.ts';

const usage = `Usage: npm test [-- VITEST ARGUMENTS]

Installs what the tests need (Docker engine, redis-server, chromium, nginx, docker-registry,
docker-compose, box image), then type check, linter and all tests.
Arguments go to vitest: npm test -- test/model

  --no-install   install no system packages: refuse instead
  --help         this text`;

const report = join(places.logs, `tests.${process.pid}.json`);
const Report = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
  numTodoTests: z.int(),
});

await runScript('npm test', async ({ signal }) => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    say(usage);
    return 0;
  }
  const mayInstall = !args.includes('--no-install');
  const machine = await prepareTestMachine(mayInstall, signal);
  try {
    await step('Browser', (s) => ensureOptional(browser, mayInstall, s));
    await step('nginx', (s) => ensureOptional(nginx, mayInstall, s));
    await step('Registry', (s) => ensureOptional(registry, mayInstall, s));
    await step('Compose', (s) => ensureOptional(compose, mayInstall, s));
    await step('Console', (s) => ensureConsole(s, signal));
    const checks = [
      ['Type check', 'tsc', ['--noEmit', '-p', 'tsconfig.base.json']],
      ['Type check of the console', 'tsc', ['--noEmit', '-p', 'controller/console/tsconfig.json']],
      ['Linter', 'biome', ['check', '--error-on-warnings', '.']],
    ] as const;
    for (const [title, program, flags] of checks) {
      say(`..  ${title}: ${program}`);
      const code = await runForeground(packaged(program), flags, machine.env, signal);
      if (code !== 0) throw new Refusal(`${title} failed: what it found is above`);
      say(`ok  ${title}`);
    }
    say('..  Tests: vitest');
    return await runTests(
      args.filter((arg) => arg !== '--no-install'),
      machine.env,
      signal,
    );
  } finally {
    await machine.release();
  }
});

async function runTests(args: readonly string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  try {
    const code = await runForeground(
      packaged('vitest'),
      [
        'run',
        '-c',
        'test/vitest.config.ts',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
        ...args,
      ],
      env,
      signal,
    );
    if (!existsSync(report)) throw new Refusal(`vitest ended with ${code} and left no report: its message is above`);
    const counts = Report.parse(JSON.parse(readFileSync(report, 'utf8')));
    const skipped = counts.numPendingTests + counts.numTodoTests;
    say(`${counts.numPassedTests} passed, ${counts.numFailedTests} failed, ${skipped} skipped`);
    if (counts.numFailedTests > 0 || counts.numPassedTests === 0) return code === 0 ? 1 : code;
    return code;
  } finally {
    rmSync(report, { force: true });
  }
}
