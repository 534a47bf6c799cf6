import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { places } from '../manifests/deploy/machine/places.ts';

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

/**
 * What runs in its own process alone, and keeps nothing in modules: these share a worker from file to file. A worker of its own
 * costs each file half a second of processor time, more than most of these take.
 */
const pure = ['unit', 'model', 'console', 'client'].map((folder) => `test/${folder}/**/*.test.ts`);

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'pure', include: pure, isolate: false } },
      {
        extends: true,
        test: {
          name: 'worlds',
          include: ['test/**/*.test.ts'],
          exclude: pure,
          globalSetup: 'test/support/build-programs.ts',
        },
      },
    ],
    // Of the processes that tests start: some hundred controllers and gateways, and more commands.
    env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? places.compileCache },
    // No more files at a time: many of them talk to a real engine, and a queue there looks like a slow test here.
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
