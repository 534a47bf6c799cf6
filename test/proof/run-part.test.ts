import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Part, parts } from './parts.ts';
import { reportOf } from './report.ts';
import { runPart } from './run-part.ts';

const folder = mkdtempSync(join(tmpdir(), 'spoonbox-proof-'));
afterAll(() => rmSync(folder, { recursive: true }));

const log = join(folder, 'part.log');
const never = new AbortController().signal;
const running = (program: string): Part => ({ name: 'a part', shows: 'nothing', command: () => ['-e', program] });

describe('a part of the proof', () => {
  test('that ends with 0 found nothing; what it printed is in its log and, at its end, in the report', async () => {
    const outcome = await runPart(running('console.log("seen"); console.error("said")'), 1, log, never);
    expect(outcome.verdict).toBe('nothing found');
    expect(readFileSync(log, 'utf8').split('\n').toSorted()).toEqual(['', 'said', 'seen']);
    expect(reportOf([outcome], new Date(0))).toContain('\nseen\n');
  });

  test('that ends with another code is red', async () => {
    const outcome = await runPart(running('process.exit(3)'), 1, log, never);
    expect(outcome.verdict).toBe('RED');
    expect(reportOf([outcome], new Date(0))).toContain('| RED |');
  });

  test('that is killed is red, too', async () => {
    const outcome = await runPart(running('process.kill(process.pid, "SIGKILL")'), 1, log, never);
    expect(outcome.verdict).toBe('RED');
  });

  test('is told of an interruption, and ended by it', async () => {
    const ending = new AbortController();
    const program =
      'process.on("SIGTERM", () => { console.log("cleaned up"); process.exit(0); }); console.log("on"); setInterval(() => {}, 1e6)';
    const ended = runPart(running(program), 1, log, ending.signal);
    await expect.poll(() => readFileSync(log, 'utf8')).toContain('on');
    ending.abort();
    expect((await ended).verdict).toBe('interrupted');
    expect(readFileSync(log, 'utf8')).toContain('cleaned up');
  });

  test('has a name of its own, and a share of the effort never means none', () => {
    expect(new Set(parts.map(({ name }) => name)).size).toBe(parts.length);
    for (const part of parts) {
      const numbers = part.command(1e-9).filter((word) => /^\d+$/.test(word));
      for (const word of numbers) expect(Number(word)).toBeGreaterThan(0);
    }
  });
});
