import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { DoctorReport } from '#shared/finding.ts';
import { ClearReply, LeftoverList } from '#shared/leftover.ts';
import { until } from '../api/api-world.ts';
import { runCli, startCli } from './cli-run.ts';
import { type FakeApi, startFakeApi } from './fake-api.ts';

const list: z.input<typeof LeftoverList> = {
  digest: 'd1',
  items: [
    {
      kind: 'terminal-container',
      name: 'spoon-agent-term-1',
      seen: 's1',
      about: 'terminal of a job of before, exited',
      action: 'remove',
      inUse: null,
    },
    { kind: 'unlabelled-box', name: 'spoon-box-alice', seen: 's2', about: 'box', action: 'adopt', inUse: null },
    { kind: 'job-directory', name: 'job9', seen: 's3', about: 'checkout', action: 'remove', inUse: 'busy there' },
    { kind: 'dead-checkout', name: 'homes/bob/Code/a/b', seen: 's4', about: 'dead', action: 'none', inUse: null },
  ],
  notLooked: ['job7: EACCES'],
};

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
  api.answer('GET /v1/leftovers', LeftoverList, list);
  api.answer('POST /v1/leftovers/clear', ClearReply, { done: true, message: 'is cleared' });
});
afterEach(() => api[Symbol.asyncDispose]());
const run = (...args: string[]) => runCli(['cleanup', ...args], { server: api.url, token: 'token' });
const cleared = (): unknown[] => api.asked.filter(({ method }) => method === 'POST').map(({ body }) => body);

describe('cleanup --legacy', () => {
  test('lists, says what is used and what was not looked at, and changes nothing', async () => {
    const { code, out, err } = await run('--legacy');
    expect(code).toBe(0);
    expect(out).toMatch(/^terminal-container +spoon-agent-term-1 +remove +terminal of a job/m);
    expect(out).toMatch(/^unlabelled-box +spoon-box-alice +adopt +box$/m);
    expect(out).toMatch(/^job-directory +job9 +remove by force +checkout; busy there$/m);
    expect(out).toMatch(/^dead-checkout +homes\/bob\/Code\/a\/b +only listed +dead$/m);
    expect(err).toContain('not looked at: job7: EACCES');
    expect(err).toContain('nothing is changed; digest d1');
    expect(cleared()).toEqual([]);
  });

  test('with --apply clears exactly what was listed, and by force also what is used; never what is only listed', async () => {
    expect(await run('--legacy', '--apply', '--yes')).toMatchObject({ code: 0 });
    const unused = [
      { kind: 'terminal-container', name: 'spoon-agent-term-1', seen: 's1', force: false },
      { kind: 'unlabelled-box', name: 'spoon-box-alice', seen: 's2', force: false },
    ];
    expect(cleared()).toEqual(unused);
    await run('--legacy', '--apply', '--yes', '--force');
    expect(cleared().slice(2)).toEqual([
      ...unused.map((body) => ({ ...body, force: true })),
      { kind: 'job-directory', name: 'job9', seen: 's3', force: true },
    ]);
  });

  test.each([
    [['--legacy', '--apply'], 2, 'nobody can be asked here: confirm with --yes'],
    [['--apply', '--yes'], 2, 'say what to clean up: --legacy'],
    [['--legacy', '--apply', '--yes', '--digest', 'd0'], 1, 'the list has changed: its digest is d1 now, not d0'],
  ])('%j is refused, and nothing is done', async (args, code, words) => {
    const run_ = await run(...args);
    expect([run_.code, run_.err]).toEqual([code, expect.stringContaining(words)]);
    expect(cleared()).toEqual([]);
  });

  test('asks a person, and takes no for no', async () => {
    const asking = startCli(['cleanup', '--legacy', '--apply'], { server: api.url, token: 'token', tty: true });
    await until(() => asking.out().includes('Go on? [y/N]'), 'the question');
    expect(asking.out()).toContain('1 of these will be removed for good, 1 will be replaced on the same home');
    asking.child.stdin?.write('n\n');
    expect((await asking.ended).code).toBe(1);
    expect(cleared()).toEqual([]);
  });

  test('goes on where something could not be cleared, says why, and exits with 1', async () => {
    await using other = await startFakeApi();
    other.answer('GET /v1/leftovers', LeftoverList, list);
    const args = ['cleanup', '--legacy', '--apply', '--yes'];
    const { code, out } = await runCli(args, { server: other.url, token: 'token' });
    expect(code).toBe(1);
    expect(out.match(/^\d of 2: no POST .* here$/gm)).toHaveLength(2);
  });

  test('goes on with what takes long', async () => {
    api.answer('POST /v1/leftovers/clear', ClearReply, { done: false, message: 'goes on' });
    const clearing = startCli(['cleanup', '--legacy', '--apply', '--yes'], { server: api.url, token: 'token' });
    clearing.child.stdin?.end();
    await until(() => (clearing.err().match(/1 of 2: goes on/g)?.length ?? 0) >= 2, 'the second go');
    api.answer('POST /v1/leftovers/clear', ClearReply, { done: true, message: 'is gone' });
    const { code, out } = await clearing.ended;
    expect([code, out]).toEqual([0, expect.stringContaining('1 of 2: is gone')]);
  });
});

test('doctor tells what the controller finds, and in JSON what was not checked', async () => {
  const finding = {
    check: 'Redis eviction',
    verdict: 'failure',
    found: 'allkeys-lru\u001b[2J',
    mend: 'noeviction',
  } as const;
  const report = { version: '0.0.1', consoleOrigin: 'http://127.0.0.1:1', items: [finding] };
  api.answer('GET /v1/doctor', DoctorReport, report);
  const { code, out } = await runCli(['doctor'], { server: api.url, token: 'token' });
  expect(code).toBe(1);
  expect(out).toMatch(/^failure {2}Redis eviction: allkeys-lru\n {9}→ noeviction$/m);
  expect(out).toMatch(/^warning {2}version: this command is of version .*, the controller of 0\.0\.1$/m);
  const json = await runCli(['doctor', '-o', 'json'], { server: api.url, token: 'token' });
  const told = JSON.parse(json.out);
  expect(told.items).toContainEqual(finding);
  expect(told.notChecked).toEqual([expect.stringContaining('a terminal from end to end')]);
});
