import { availableParallelism } from 'node:os';

/** One kind of proof in its long form: a program of its own, which ends with 0 only where nothing was found. */
export interface Part {
  readonly name: string;
  readonly shows: string;
  /** what Node runs, from the root of the checkout; `share` of the whole effort, in (0, 1] */
  command(share: number): readonly string[];
}

const seeds = 100_000;
const inputs = 1_000_000;
const minutes = 30;
const fewestSeeds = 200;
const fewestInputs = 10_000;

/** In the order in which they run: what finds most in the least time is first. */
export const parts: readonly Part[] = [
  {
    name: 'breakages',
    shows: 'each promise broken by hand turns a named test red',
    command: () => ['test/breakages/run.ts'],
  },
  {
    name: 'fuzz',
    shows: 'hostile input at every border ends nothing, leaks nothing, and is never answered with a 5xx',
    command: (share) => ['test/fuzz/run.ts', '--inputs', scaled(inputs, share, fewestInputs)],
  },
  {
    name: 'crash',
    shows: 'kill -9 of the controller at every failpoint, on the real engine: one container, home intact',
    command: () => ['test/crash/run.ts'],
  },
  {
    name: 'chaos',
    shows: 'a real installation broken at random with people at work in it: what they saw keeps the promises',
    command: (share) => ['test/chaos/run.ts', '--minutes', scaled(minutes, share, 1), '--users', '20'],
  },
  {
    name: 'mutation',
    shows: 'a change of the code of box, queue, reconcile or the lease arithmetic turns a test red',
    command: () => ['test/mutation/run.ts'],
  },
  {
    name: 'simulation',
    shows: 'the ten promises after every step, under faults at every await, and every edge under every class of faults',
    command: (share) => [
      ...['test/sim/replay.ts', '--from', '1', '--count', scaled(seeds, share, fewestSeeds)],
      ...['--workers', String(availableParallelism()), ...(share === 1 ? ['--whole', '--branches', '100'] : [])],
    ],
  },
];

function scaled(whole: number, share: number, least: number): string {
  return String(Math.max(least, Math.ceil(whole * share)));
}
