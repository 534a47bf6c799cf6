import { describe, expect, test } from 'vitest';
import { EngineError, type FaultKind } from '#shared/faults.ts';
import type { Command } from '../../controller/src/box/command.ts';
import { Executor } from '../../controller/src/reconcile/executor.ts';
import { Operations } from '../../controller/src/reconcile/operations.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import { alice, factsOf, imageId, spec } from '../support/box-facts.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';
import { noVaults } from '../support/no-vaults.ts';

const fenceMs = 5_000;

function worldOf(methods: Partial<BoxRuntime>) {
  const clock = new FakeClock();
  const abort = new AbortController();
  const runtime = fakeRuntime(methods);
  const { signal } = abort;
  const none = (): void => {};
  const operations = new Operations({ runtime, signal, nowMs: () => 0, onProgress: none, onEnd: none });
  const executor = new Executor({ runtime, operations, vaults: noVaults, clock, fenceMs, signal });
  const permit = { user: alice, facts: factsOf(), committedAtMs: clock.monotonicMs() };
  return {
    clock,
    abort,
    operations,
    executor,
    permit,
    execute: (command: Command) => executor.execute(command, permit),
  };
}

const calls: [Command, keyof BoxRuntime, string][] = [
  [{ type: 'ensure-home', uid: 1, gid: 2, image: imageId }, 'ensureHome', ''],
  [{ type: 'create', generation: 5, spec }, 'create', ''],
  [{ type: 'start', id: 'box-1' }, 'start', 'box-1'],
  [{ type: 'unpause', id: 'box-1', cause: null }, 'unpause', 'box-1'],
  [{ type: 'rename', id: 'box-1', name: 'spoon-box-alice' }, 'rename', 'box-1'],
  [{ type: 'probe', id: 'box-1' }, 'probe', 'box-1'],
  [{ type: 'remove', id: 'box-1', cause: 'idle' }, 'remove', 'box-1'],
];

describe.each(calls)('%j', (command, method, containerId) => {
  test('is one call, whose success is an outcome', async () => {
    let called = 0;
    const { execute } = worldOf({
      [method]: async () => {
        called += 1;
        return { id: 'new-1' };
      },
    });
    const id = command.type === 'create' ? 'new-1' : containerId;
    expect(await execute(command)).toEqual({ command: command.type, containerId: id, fault: null });
    expect(called).toBe(1);
  });

  test('becomes an outcome whatever goes wrong', async () => {
    const kinds: FaultKind[] = ['not-found', 'conflict', 'invalid', 'failed', 'timeout', 'unreachable'];
    for (const kind of kinds) {
      const fault = { kind, operation: command.type, status: null, message: 'no' };
      const { execute } = worldOf({ [method]: async () => Promise.reject(new EngineError(fault)) });
      expect(await execute(command)).toEqual({ command: command.type, containerId, fault });
    }
    const { execute } = worldOf({
      [method]: () => {
        throw new TypeError('a bug');
      },
    });
    expect(await execute(command)).toMatchObject({ fault: { kind: 'failed', message: 'a bug' } });
  });

  test('is dropped when its commit is too old, and after the term', async () => {
    const late = worldOf({});
    await late.clock.advance(fenceMs + 1);
    expect(await late.execute(command)).toBe('dropped');
    const over = worldOf({});
    over.abort.abort();
    expect(await over.execute(command)).toBe('dropped');
  });
});

test('a command just within the fence is executed', async () => {
  const { clock, execute } = worldOf({ start: async () => {} });
  await clock.advance(fenceMs);
  expect(await execute({ type: 'start', id: 'box-1' })).toMatchObject({ fault: null });
});

test('what is made is made as the command says', async () => {
  const asked: unknown[] = [];
  const { execute } = worldOf({
    ensureHome: async (user, owner) => void asked.push(user, owner),
    create: async (box) => {
      asked.push(box);
      return { id: 'new-1' };
    },
  });
  await execute({ type: 'ensure-home', uid: 1, gid: 2, image: imageId });
  await execute({ type: 'create', generation: 5, spec });
  expect(asked).toEqual([alice, { uid: 1, gid: 2, image: imageId }, { user: alice, generation: 5, spec }]);
});

test('a box is tried out with what its class says, and with a shell where no class is known', async () => {
  const tried: unknown[] = [];
  const { executor, permit } = worldOf({ probe: async (_id, readiness) => void tried.push(readiness) });
  await executor.execute({ type: 'probe', id: 'box-1' }, permit);
  await executor.execute({ type: 'probe', id: 'box-1' }, { ...permit, facts: factsOf({ boxClass: null, spec: null }) });
  expect(tried).toEqual([
    { command: ['true'], timeout: 10_000 },
    { command: ['/bin/sh', '-c', ':'], timeout: 10_000 },
  ]);
});

test('a command that the end of the term cuts off has no outcome: the next leader looks', async () => {
  const { execute, abort } = worldOf({
    start: async () => {
      abort.abort(new Error('another leads'));
      throw abort.signal.reason;
    },
  });
  expect(await execute({ type: 'start', id: 'box-1' })).toBeNull();
});

test('what lasts runs on its own: the pass is not told its end', async () => {
  const never = new Promise<void>(() => {});
  const { execute, operations } = worldOf({ pull: () => never, stop: () => never });
  expect(await execute({ type: 'pull', image: 'box:1' })).toBeNull();
  expect(await execute({ type: 'stop', id: 'box-1', graceMs: 1, cause: 'idle' })).toBeNull();
  expect(operations.stopping()).toEqual(['box-1']);
  expect(operations.pullOf('box:1', null)).not.toBeNull();
});

test('nothing to do and a forget, which the commit did, call nothing', async () => {
  const { execute } = worldOf({});
  expect(await execute({ type: 'none' })).toBeNull();
  expect(await execute({ type: 'forget' })).toBeNull();
});
