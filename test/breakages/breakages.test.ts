import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { breakages } from './breakages.ts';
import { brokenText } from './broken-text.ts';

/** The list itself; `node test/breakages/run.ts` tries each of them. */
const root = new URL('../../', import.meta.url);

describe('every breakage', () => {
  test.each(breakages)('still fits: $name', ({ file, text, replacement, caughtBy }) => {
    const original = readFileSync(new URL(file, root), 'utf8');
    expect(brokenText(original, { file, text, replacement })).not.toBe(original);
    expect(existsSync(new URL(caughtBy.file, root))).toBe(true);
  });

  test('is there once, and there are enough of them', () => {
    expect(new Set(breakages.map(({ name }) => name)).size).toBe(breakages.length);
    expect(breakages.length).toBeGreaterThanOrEqual(20);
  });
});

test('a text that is missing or occurs twice is refused', () => {
  for (const original of ['', 'a a']) {
    expect(() => brokenText(original, { file: 'f', text: 'a', replacement: 'b' })).toThrow('times, not once');
  }
});
