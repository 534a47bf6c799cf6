import { expect, test } from 'vitest';
import type { BoxStore } from '#shared/box-store.ts';
import { sleep } from '#shared/clock.ts';
import type { RolloutStore } from '#shared/rollout-store.ts';
import type { ToolStore } from '#shared/tools.ts';
import { noLimits } from '#shared/config.ts';
import { createLogger } from '#shared/log.ts';
import type { UserName } from '#shared/identity.ts';
import { TermController } from '../../controller/src/controller.ts';
import type { LeaderStore, LeadReply } from '../../controller/src/store/leader-store.ts';
import type { StatusStore } from '../../controller/src/store/status-store.ts';
import { alice, boxClass, installation, now, rolloutsOn, runMode } from '../support/box-facts.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { fakePort } from '../support/fake-port.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';
import { noVaults } from '../support/no-vaults.ts';

const first: LeadReply = {
  leads: true,
  counter: 1,
  previousAt: now,
  now,
  holder: 'test',
  marker: 'run-1',
  fingerprint: '',
  free: false,
};

/** A term whose question to Redis, whether it is the one that is trusted, is answered when the test says so. */
function termOf() {
  const clock = new FakeClock();
  const abort = new AbortController();
  const log: string[] = [];
  let answer = (_runId: string): void => {};
  let wake = (_user: UserName, _when: 'now' | 'later'): void => {};
  const store = fakePort<BoxStore>({
    users: async () => [],
    mode: async () => ({ now, mode: runMode }),
    read: async () => {
      log.push('pass');
      return await new Promise(() => {});
    },
    subscribe: async (_what, onUser) => {
      log.push('subscribe');
      wake = onUser;
      return async () => void log.push('unsubscribe');
    },
  });
  const controller = new TermController(
    {
      store,
      statusStore: fakePort<StatusStore>({}),
      leaderStore: fakePort<LeaderStore>({
        runId: () =>
          new Promise((resolve) => {
            answer = resolve;
          }),
      }),
      rolloutStore: fakePort<RolloutStore>({
        read: async () => ({ now, pause: rolloutsOn, round: null }),
      }),
      toolStore: fakePort<ToolStore>({}),
      pulled: new Set(),
      vaults: noVaults,
      runtime: fakeRuntime({
        ensureNetwork: async () => {},
        removeLeftHelpers: async () => {},
        forgetImages: () => {},
        list: async () => [],
        follow: async (_on, signal) => sleep(clock, 3_600_000, signal),
      }),
      classes: new Map([['default', boxClass]]),
      installation,
      homesDir: '/srv/homes',
      clock,
      log: createLogger({ name: 'test', level: 'silent' }),
      workers: 2,
      mutationsPerS: 10,
      resyncMs: 60_000,
      terminalGraceMs: 300_000,
      limits: noLimits,
      onNotLeader: () => {},
    },
    { token: 'token', ttlMs: 10_000, signal: abort.signal, first },
  );
  return {
    controller,
    log,
    clock,
    abort,
    answer: () => answer('run-1'),
    wake: (when: 'now' | 'later' = 'now') => wake(alice, when),
  };
}

test('no wake-up leads to a pass before it is known whether Redis is to be trusted', async () => {
  const { controller, log, answer, wake } = termOf();
  void controller.run();
  await settled();
  wake();
  expect(log).toEqual([]);
  answer();
  await settled();
  wake();
  await settled();
  expect(log).toEqual(['subscribe', 'pass']);
});

test('a pass for which nobody waits is put off, and is one with those that are', async () => {
  const { controller, log, clock, answer, wake } = termOf();
  void controller.run();
  answer();
  await settled();
  wake('later');
  await clock.advance(499);
  wake('later');
  expect(log).toEqual(['subscribe']);
  await clock.advance(1);
  expect(log).toEqual(['subscribe', 'pass']);
});

test('a term that is over before it began ends in peace, and leaves nothing behind', async () => {
  const { controller, log, clock, abort, answer } = termOf();
  const running = controller.run();
  await settled();
  abort.abort(new Error('another leads'));
  answer();
  await running;
  expect(log.filter((line) => line === 'pass')).toEqual([]);
  expect(clock.pending).toBe(0);
});
