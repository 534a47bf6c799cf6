import { expect, test } from 'vitest';
import { ligatureRanges } from '../../controller/console/src/terminal/ligatures.ts';

const joined = (text: string): string[] => ligatureRanges(text).map(([start, end]) => text.slice(start, end));

test('signs that the font draws as one are joined, the longest first, each character once', () => {
  expect(joined('a -> b => c !== d')).toEqual(['->', '=>', '!==']);
  expect(joined('<!-- x -->')).toEqual(['<!--', '-->']);
  expect(joined('a=====b')).toEqual(['===', '==']);
});

test('text without such signs is left alone', () => {
  for (const text of ['', 'plain words', '~/Code $ ls -l', 'a - b = c']) expect(joined(text), text).toEqual([]);
});
