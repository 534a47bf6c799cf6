import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const folder = join(import.meta.dirname, '../../controller/src/box');
const files = readdirSync(folder);

/** Modules of shared that are schemas, names and words, and do nothing. */
const pureShared = [
  'box-class',
  'checkout',
  'faults',
  'home-usage',
  'human-bytes',
  'human-count',
  'identity',
  'json',
  'lease',
  'operator-schemas',
  'status',
  'vault-status',
].map((name) => `#shared/${name}.ts`);
const impure =
  /\b(Date\b|Math\.random|performance\b|set(Timeout|Interval|Immediate)\b|process\.|fetch\(|queueMicrotask|await )/;

test('the box machine imports schemas, and nothing that does anything', () => {
  const wrong = files.flatMap((file) =>
    importsOf(textOf(file))
      .filter((from) => !isAllowed(from))
      .map((from) => `${file} imports ${from}`),
  );
  expect(wrong).toEqual([]);
  expect(files.length).toBeGreaterThan(8);
});

test('the box machine has no clock, no chance and no timer of its own', () => {
  const wrong = files.flatMap((file) => impure.exec(codeOf(textOf(file)))?.map((found) => `${file}: ${found}`) ?? []);
  expect(wrong).toEqual([]);
});

test('what box/ may import of shared is pure itself', () => {
  const shared = join(import.meta.dirname, '../../shared/src');
  for (const module of pureShared) {
    const text = readFileSync(join(shared, module.replace('#shared/', '')), 'utf8');
    expect(importsOf(text).filter((from) => from !== 'zod' && !isAllowed(from.replace('./', '#shared/')))).toEqual([]);
    expect(codeOf(text)).not.toMatch(impure);
  }
});

test('the check itself sees what it is for', () => {
  expect(isAllowed('node:fs')).toBe(false);
  expect(isAllowed('#shared/clock.ts')).toBe(false);
  expect(isAllowed('../reconcile/pacer.ts')).toBe(false);
  expect(
    importsOf("import type { A } from './a.ts';\nconst b = await import('node:fs');\nexport { c } from \"d\";"),
  ).toEqual(['./a.ts', 'node:fs', 'd']);
  expect(codeOf('const at = Date.now(); // Date')).toMatch(impure);
  expect(codeOf('// Date.now() is not used')).not.toMatch(impure);
});

function isAllowed(from: string): boolean {
  return from === 'xstate' || from === 'zod' || /^\.\/[a-z-]+\.ts$/.test(from) || pureShared.includes(from);
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:\bfrom|\bimport\(|^import)\s*['"]([^'"]+)['"]/gm)].map((match) => match[1] ?? '');
}

function textOf(file: string): string {
  return readFileSync(join(folder, file), 'utf8');
}

/** Without comments and texts. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*|'[^'\n]*'|`[^`]*`/g, '');
}
