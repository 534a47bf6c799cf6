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
    const placeOf = ({ moduleId, project }: TestSpecification): number => {
      const place = long.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      // A worker is shared only with what comes next; and what waits for nothing leaves no processor idle at the end.
      return place === -1 ? long.length + (project.config.isolate ? 0 : 1) : place;
    };
    return (await super.sort(files)).toSorted((one, other) => placeOf(one) - placeOf(other));
  }
}

/**
 * What keeps nothing in modules, and leaves nothing to the process: these share a worker from file to file. A worker of its own
 * costs each file a second of processor time, more than many of these take.
 */
const shared = ['unit', 'model', 'console', 'client', 'api', 'gateway'].map((folder) => `test/${folder}/**/*.test.ts`);
/** These are mostly waited for, and so they are no files for the end. */
const docker = 'test/**/*.docker.test.ts';

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'shared', include: shared, exclude: [docker], isolate: false } },
      {
        extends: true,
        test: {
          name: 'own',
          include: ['test/**/*.test.ts'],
          exclude: shared.map((some) => some.replace('*.test.ts', '!(*.docker).test.ts')),
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
