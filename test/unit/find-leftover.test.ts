import { mkdir, mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findLeftover, findLeftovers } from '../../controller/src/leftovers/list.ts';
import type { HostContainer, HostEngine } from '../../controller/src/runtime/host-port.ts';
import { fakePort } from '../support/fake-port.ts';

/** One item is looked at as in the list of all, without a list of all: there may be thousands to clear. */

const { signal } = new AbortController();
const longAgo = new Date('2026-01-01T00:00:00Z');
const container = (name: string, state: string, source: string): HostContainer => ({
  ...{ id: name, name, state, createdAtS: 1, installation: '', role: '', memoryBytes: 0 },
  mounts: [{ source, target: '/home/user' }],
});

let workdir: string;
let containers: HostContainer[];
beforeAll(async () => {
  workdir = await mkdtemp(join(tmpdir(), 'leftovers-'));
  for (const name of ['job-1', 'job-2']) {
    const git = join(workdir, name, 'repo', '.git');
    await mkdir(git, { recursive: true });
    for (const path of [git, join(git, '..'), join(git, '../..')]) await utimes(path, longAgo, longAgo);
  }
  await mkdir(join(workdir, '.spoonbox-trash', 'job-0.abc'), { recursive: true });
  containers = [
    container('spoon-agent-term-1', 'exited', '/elsewhere'),
    container('spoon-agent-term-2', 'running', join(workdir, 'job-2', 'repo')),
    container('spoon-box-alice', 'running', join(workdir, 'homes', 'alice')),
  ];
});
afterAll(() => rm(workdir, { recursive: true, force: true }));

const look = (some: Partial<HostEngine>) => ({
  engine: fakePort<HostEngine>(some),
  ...{ workdir, hostWorkdir: workdir },
  boxClass: { image: 'box', user: { uid: 1_000, gid: 1_000, home: '/home/user' } },
});

test('each item is found alone as it is in the list', async () => {
  const whole = { ...look({ containers: async () => containers }), withCheckouts: false };
  const { items } = await findLeftovers(whole, signal);
  expect(items.map(({ leftover }) => leftover.name)).toHaveLength(6);
  expect(items.filter(({ leftover }) => leftover.inUse !== null)).toHaveLength(2);
  const alone = look({
    liveContainers: async () => containers.filter(({ state }) => state === 'running'),
    containerNamed: async (name) => containers.find((one) => one.name === name) ?? null,
  });
  for (const item of items) {
    const { kind, name } = item.leftover;
    if (kind !== 'dead-checkout') expect(await findLeftover(alone, { kind, name }, signal)).toEqual(item);
  }
});

test('what is none, or is gone, is not found', async () => {
  const at = look({ liveContainers: async () => [], containerNamed: async () => null });
  for (const name of ['job-3', '..', 'homes', '.spoonbox-trash', '.spoonbox-trash/job-9.abc', '../job-1']) {
    expect(await findLeftover(at, { kind: 'job-directory', name }, signal)).toBeNull();
  }
  expect(await findLeftover(at, { kind: 'terminal-container', name: 'spoon-agent-term-9' }, signal)).toBeNull();
});
