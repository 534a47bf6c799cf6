import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { places } from '../manifests/deploy/machine/places.ts';
import { patienceMs } from './support/patience.ts';

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

/**
 * A worker of its own for what changes its process (the way to the engine, what is counted), or measures it. All others share
 * workers from file to file, and leave nothing to the process or in modules: a worker reads the same modules again, which costs a
 * second of processor time, more than many a file takes.
 */
const own = ['crash/completeness', 'fuzz/leaks', 'gateway/*.docker', 'sim/*', 'contract/box-store-connection'].map(
  fileOf,
);

/** These start no programs and wait for nobody: they come last, so that no processor is idle at the end. */
const inProcess = ['unit', 'model', 'console', 'client', 'api', 'gateway'].map((folder) =>
  fileOf(`${folder}/!(*.docker)`),
);

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId, project }: TestSpecification): number => {
      const place = long.findIndex((name) => moduleId.endsWith(`/${fileOf(name)}`));
      if (place !== -1) return place;
      // A worker is handed on only to what comes next.
      return long.length + ['own', 'worlds', 'in-process'].indexOf(project.name);
    };
    return (await super.sort(files)).toSorted((one, other) => placeOf(one) - placeOf(other));
  }
}

function fileOf(name: string): string {
  return `test/${name}.test.ts`;
}

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'own', include: own } },
      {
        extends: true,
        test: {
          ...{ name: 'worlds', include: [fileOf('**/*')], exclude: [...own, ...inProcess], isolate: false },
          globalSetup: 'test/support/build-programs.ts',
        },
      },
      { extends: true, test: { name: 'in-process', include: inProcess, isolate: false } },
    ],
    // Of the processes that tests start: some hundred controllers and gateways, and more commands.
    env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? places.compileCache },
    // No more files at a time: many of them talk to a real engine, and a queue there looks like a slow test here.
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    setupFiles: ['test/setup.ts'],
    expect: { poll: { timeout: patienceMs } },
    // Of what never comes, too: some wait for several things, one after the other.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
