import { fileURLToPath } from 'node:url';
import type { Stryker } from '@stryker-mutator/core';

/** What is mutated, by part: the decisions, the queue, the pass, and whatever computes when a lease ends. */
export const parts: Readonly<Record<string, readonly string[]>> = {
  box: ['controller/src/box/*.ts'],
  queue: ['controller/src/queue/*.ts'],
  reconcile: ['controller/src/reconcile/*.ts'],
  // The terminal's lease, the leader's, and how long any may last. That of a box is computed in `box/holding.ts`, and in Lua,
  // which is broken by hand in `test/breakages`.
  leases: ['shared/src/lease.ts', 'controller/src/leader.ts', 'gateway/src/lease.ts'],
};

const folder = '.spoonbox/mutation';
export const reportFile = `${folder}/report.json`;

/** StrykerJS's own defaults, but for these. No mutator and no file of the parts is left out; log lines are, see the ignorer. */
export function strykerOptions(
  chosen: readonly string[],
  concurrency: number,
): ConstructorParameters<typeof Stryker>[0] {
  return {
    mutate: chosen.flatMap((part) => parts[part] ?? [part]),
    plugins: ['@stryker-mutator/vitest-runner', fileURLToPath(new URL('ignore-logs.ts', import.meta.url))],
    ignorers: ['logs'],
    testRunner: 'vitest',
    // The quick tests import everything that is mutated: to ask which are related costs more than it saves.
    vitest: { configFile: 'test/mutation/vitest.config.ts', related: false },
    coverageAnalysis: 'perTest',
    concurrency,
    // On top of what the tests take: a mutant that waits for ever is found after this.
    timeoutMS: 5_000,
    timeoutFactor: 3,
    // Vite strips the types and checks none.
    disableTypeChecks: false,
    reporters: ['json', 'progress-append-only'],
    jsonReporter: { fileName: reportFile },
    tempDirName: `${folder}/sandbox`,
    cleanTempDir: 'always',
    ignorePatterns: ['.spoonbox', '.git', 'coverage', '*.log'],
    allowConsoleColors: false,
  };
}
