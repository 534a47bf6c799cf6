import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cli } from './cli-run.ts';
import { type FakeApi, startFakeApi } from './fake-api.ts';

/** The command on a Node that reads no TypeScript: the wrapper runs the project's own, and stands for it. */

const olderNode = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.9.0" } })';

/** Two Nodes start, one after the other. */
const starting = { timeout: 40_000 };

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
  api.stream('GET /v1/boxes');
});
afterEach(() => api[Symbol.asyncDispose]());

async function watching(): Promise<{ wrapper: ChildProcess; pid: number; said: () => string }> {
  const before = api.asked.length;
  const address = ['--server', api.url, '--token', 'token'];
  const args = ['--import', `data:text/javascript,${encodeURIComponent(olderNode)}`, cli, 'get', 'boxes', '-w'];
  const wrapper = spawn(process.execPath, [...args, ...address], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  wrapper.stderr?.on('data', (chunk) => {
    said += String(chunk);
  });
  await expect.poll(() => api.asked.length, starting).toBeGreaterThan(before);
  const children = await readFile(`/proc/${wrapper.pid}/task/${wrapper.pid}/children`, 'utf8');
  return { wrapper, pid: Number(children.trim()), said: () => said };
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('a signal to the wrapper alone is the command’s, and so is how it ends', async () => {
  for (const [signal, code, words] of [
    ['SIGINT', 130, 'interrupted'] as const,
    ['SIGTERM', 143, 'ended by a signal'] as const,
  ]) {
    const { wrapper, pid, said } = await watching();
    wrapper.kill(signal);
    expect(await once(wrapper, 'close')).toEqual([code, null]);
    expect(said()).toContain(words);
    expect(isThere(pid)).toBe(false);
  }
  const { wrapper, pid } = await watching();
  process.kill(pid, 'SIGUSR2');
  expect(await once(wrapper, 'close')).toEqual([140, null]);
});

test('a wrapper that is killed takes the command with it', async () => {
  const { wrapper, pid } = await watching();
  expect(isThere(pid)).toBe(true);
  wrapper.kill('SIGKILL');
  await expect.poll(() => isThere(pid), starting).toBe(false);
});
