import { expect, test } from 'vitest';
import { VaultSealError } from '#shared/vault-seal.ts';
import { Executor } from '../../controller/src/reconcile/executor.ts';
import { Operations } from '../../controller/src/reconcile/operations.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import type { HomeVaults, OpenedVault } from '../../controller/src/store/home-vaults.ts';
import { alice, factsOf } from '../support/box-facts.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fakeRuntime } from '../support/fake-runtime.ts';

const file = { path: '.bashrc', mode: 0o644, content: Buffer.from('x') };
const vault: OpenedVault = { revision: 7, files: [file], orders: [], unreadable: [] };
const { unreadable: _none, ...whole } = vault;
const written = { revision: 7, drift: [], failed: [] };

async function writeVault(vaults: Partial<HomeVaults>, methods: Partial<BoxRuntime>) {
  const settled: number[] = [];
  const runtime = fakeRuntime(methods);
  const clock = new FakeClock();
  const { signal } = new AbortController();
  const none = (): void => {};
  const operations = new Operations({ runtime, signal, nowMs: () => 0, onProgress: none, onEnd: none });
  const executor = new Executor({
    ...{ runtime, operations, clock, signal, fenceMs: 5_000 },
    vaults: {
      read: async () => vault,
      settle: async (_user, revision) => void settled.push(revision),
      ...vaults,
    },
  });
  const permit = { user: alice, facts: factsOf({ vault: { revision: 7 } }), committedAtMs: clock.monotonicMs() };
  const outcome = await executor.execute({ type: 'write-vault', id: 'box-1' }, permit);
  return { outcome, settled };
}

test('what the pass found is read of at least that revision, written, and settled', async () => {
  const asked: unknown[] = [];
  const { outcome, settled } = await writeVault(
    {
      async read(user, revision) {
        asked.push(user, revision);
        return vault;
      },
    },
    {
      async writeVault(id, given) {
        asked.push(id, given);
        return written;
      },
    },
  );
  expect(asked).toEqual([alice, 7, 'box-1', whole]);
  expect(outcome).toEqual({ command: 'write-vault', containerId: 'box-1', fault: null, vault: written });
  expect(settled).toEqual([7]);
});

test('what could not be written whole is told, and stays to be done', async () => {
  const part = { ...written, failed: [{ path: '.bashrc', why: 'no space' }] };
  const { outcome, settled } = await writeVault({}, { writeVault: async () => part });
  expect(outcome).toMatchObject({ fault: null, vault: part });
  expect(settled).toEqual([]);
});

test('a vault that cannot be had is a fault of its own, and the box is not touched', async () => {
  const { outcome } = await writeVault({ read: () => Promise.reject(new Error('the key is missing')) }, {});
  expect(outcome).toMatchObject({ fault: { kind: 'failed', operation: 'openVault', message: 'the key is missing' } });
});

test('an entry that cannot be opened is told by name, after all others were written; orders stay to be done', async () => {
  const error = new VaultSealError('changed', 'the file .vimrc of alice cannot be read: it was changed');
  const unreadable = (['f:.vimrc', 'e:TOKEN'] as const).map((field) => ({ field, error }));
  const wrote: unknown[] = [];
  const { outcome, settled } = await writeVault(
    { read: async () => ({ ...vault, unreadable }) },
    {
      async writeVault(_id, given) {
        wrote.push(given);
        return written;
      },
    },
  );
  expect(wrote).toEqual([whole]);
  const message = 'the file .vimrc of alice cannot be read: it was changed; nor can the variable TOKEN';
  expect(outcome).toMatchObject({ containerId: 'box-1', fault: { kind: 'failed', operation: 'openVault', message } });
  expect(settled).toEqual([]);
});

test('a vault that has no files, and nothing to take away, asks nothing of the box', async () => {
  const { outcome, settled } = await writeVault({ read: async () => ({ ...vault, files: [] }) }, {});
  expect(outcome).toMatchObject({ fault: null, vault: written });
  expect(settled).toEqual([7]);
});

test('orders that cannot be settled are no fault: carried out again, they find nothing to do', async () => {
  const { outcome } = await writeVault(
    { settle: () => Promise.reject(new Error('Redis is away')) },
    { writeVault: async () => written },
  );
  expect(outcome).toMatchObject({ fault: null, vault: written });
});
