import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * They take a minute or more each; begun last, one of them would run on alone when all others are done. The first builds the
 * server's image, which the last uses too.
 */
const long = [
  ...['e2e/compose', 'crash/crash', 'sim/sim', 'gateway/terminal.docker', 'gateway/jobs.docker', 'sdk/box'],
  ...[
    'cli/commands',
    'e2e/console',
    'e2e/browser-terminal',
    'contract/box-runtime.docker',
    'e2e/capacity',
    'e2e/switch-over',
  ],
];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId }: TestSpecification): number => {
      const place = long.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return place === -1 ? long.length : place;
    };
    return (await super.sort(files)).toSorted((one, other) => placeOf(one) - placeOf(other));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // No more files at a time: many of them talk to a real engine, and a queue there looks like a slow test here.
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
