import { basename } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The two tables of the machine find most of what is wrong with it, at once. */
const first = ['decisions.test.ts', 'sentences.test.ts'];

class TablesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => (first.includes(basename(moduleId)) ? 0 : 1);
    return files.toSorted((a, b) => rank(a) - rank(b) || a.moduleId.localeCompare(b.moduleId));
  }
}

/**
 * The tests that a mutant is tried against: those that run in this process alone, in milliseconds. Left out are those that
 * need a server (`leader-times` stands for `leader`), those that read the source as text, which would see the instrumented
 * one, and the large products of the model, which take seconds a mutant: so the score is what the quick tests reach alone.
 */
export default defineConfig({
  test: {
    include: ['test/unit/**/*.test.ts', 'test/model/**/*.test.ts'],
    exclude: ['test/unit/{generated,leader}.test.ts', 'test/model/{purity,liveness,machine}.test.ts'],
    setupFiles: ['test/mutation/setup.ts'],
    isolate: false,
    sequence: { sequencer: TablesFirst },
    update: false,
    // A mutant that waits for ever is a failure sooner than a process that must be ended.
    testTimeout: 5_000,
  },
});
