import { expect, test } from 'vitest';
import type { BoxClass } from '#shared/box-class.ts';
import { createLogger } from '#shared/log.ts';
import type { PullReport, PullRound } from '#shared/rollout.ts';
import { Operations } from '../../controller/src/reconcile/operations.ts';
import { PullRounds } from '../../controller/src/source/pull-rounds.ts';
import { alice, boxClass, now, rolloutsOn } from '../support/box-facts.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';

const classes: BoxClass[] = [
  { ...boxClass, name: 'default', image: 'a:1' },
  { ...boxClass, name: 'small', image: 'a:1', pullPolicy: 'Always' },
  { ...boxClass, name: 'local', image: 'b:1', pullPolicy: 'Never' },
  { ...boxClass, name: 'large', image: 'c:1' },
];

function worldOf(round: PullRound | null) {
  const clock = new FakeClock();
  const abort = new AbortController();
  const reports: PullReport[] = [];
  const pulls: { image: string; end: () => void; fail: (error: Error) => void; tell: (doneBytes: number) => void }[] =
    [];
  const state = { round, leads: true, ended: 0 };
  const operations = new Operations({
    runtime: fakeRuntime({
      pull: (image, on) =>
        new Promise((end, fail) => {
          const tell = (doneBytes: number): void => on({ image, doneBytes, totalBytes: 100, layersDone: 0, layers: 1 });
          pulls.push({ image, end, fail, tell });
        }),
    }),
    signal: abort.signal,
    nowMs: () => clock.monotonicMs(),
    onProgress: () => {},
    onEnd: () => {},
  });
  const rounds = new PullRounds({
    store: {
      read: async () => ({ now, pause: rolloutsOn, round: state.round }),
      reportPulls: async (_token, report) => {
        if (!state.leads) return false;
        reports.push(report);
        state.round = { ...report, by: 'ops' };
        return true;
      },
    },
    operations,
    classes: new Map(classes.map((each) => [each.name, each])),
    clock,
    log: createLogger({ name: 'test', level: 'silent' }),
    token: 'token',
    signal: abort.signal,
    onEnd: () => {
      state.ended += 1;
    },
  });
  return { clock, abort, reports, pulls, state, operations, rounds };
}

const asked: PullRound = { askedAt: now, by: 'ops', ended: false, images: [] };
const statesOf = (report: PullReport | undefined) => report?.images.map(({ image, state }) => `${image} ${state}`);

test('each image is pulled once, one after the other, but for those that are never pulled; then everybody is looked at', async () => {
  const { rounds, pulls, reports, state } = worldOf(asked);
  rounds.look('run');
  await settled();
  expect(pulls.map(({ image }) => image)).toEqual(['a:1']);
  expect(statesOf(reports.at(-1))).toEqual(['a:1 pulling', 'b:1 kept', 'c:1 waiting']);
  rounds.look('run');
  await settled();
  pulls[0]?.end();
  await settled();
  expect(pulls.map(({ image }) => image)).toEqual(['a:1', 'c:1']);
  pulls[1]?.fail(new Error('no such registry'));
  await settled();
  expect(statesOf(reports.at(-1))).toEqual(['a:1 pulled', 'b:1 kept', 'c:1 failed']);
  expect(reports.at(-1)).toMatchObject({
    askedAt: now,
    ended: true,
    images: [{}, {}, { message: 'no such registry' }],
  });
  expect(state.ended).toBe(1);
  rounds.look('run');
  await settled();
  expect(pulls.length).toBe(2);
});

test('its progress is told once a second', async () => {
  const { rounds, pulls, reports, clock } = worldOf(asked);
  rounds.look('run');
  await settled();
  pulls[0]?.tell(40);
  await clock.advance(1_000);
  expect(reports.at(-1)?.images[0]?.progress).toMatchObject({ doneBytes: 40, totalBytes: 100 });
  pulls[0]?.end();
  await settled();
  const told = reports.length;
  pulls[1]?.end();
  await settled();
  await clock.advance(5_000);
  expect(reports.length).toBe(told + 1);
});

test('a pull that a box waits for is joined, not begun a second time', async () => {
  const { rounds, pulls, operations } = worldOf(asked);
  operations.pull('a:1', alice);
  rounds.look('run');
  await settled();
  expect(pulls.map(({ image }) => image)).toEqual(['a:1']);
  pulls[0]?.end();
  await settled();
  expect(pulls.map(({ image }) => image)).toEqual(['a:1', 'c:1']);
});

test.each([
  ['nobody asked for', null, 'run', true],
  ['has ended', { ...asked, ended: true }, 'run', true],
  ['is asked for under a pause', asked, 'pause', true],
  ['another leads by now', asked, 'run', false],
] as const)('a round that %s pulls nothing', async (_which, round, mode, leads) => {
  const { rounds, pulls, state } = worldOf(round);
  state.leads = leads;
  rounds.look(mode);
  await settled();
  expect(pulls).toEqual([]);
  expect(state.ended).toBe(0);
});

test('one that was cut off between two images is begun again by the next who leads', async () => {
  const { rounds, pulls, state } = worldOf(asked);
  rounds.look('run');
  await settled();
  state.leads = false;
  pulls[0]?.end();
  await settled();
  expect(pulls.length).toBe(1);
  expect(state.round).toMatchObject({ ended: false });
  state.leads = true;
  rounds.look('run');
  await settled();
  expect(pulls.map(({ image }) => image)).toEqual(['a:1', 'a:1']);
});
