/**
 * What JetBrains Mono draws as one sign, the longest first. xterm.js's ligatures addon would find them in the font itself, but
 * for that it asks for all fonts of the machine, which a page has no business to read.
 */
const ligatures = [
  ...['<!--', '<-->', '<==>', '<~~>', '-->>', '<<--', '==>>', '<<==', '!==', '===', '-->', '<--', '==>', '<==', '<->'],
  ...['<=>', '<~>', '~~>', '<~~', '->>', '<<-', '=>>', '<<=', '>>=', '>>-', '|->', '<-|', '|=>', '<=|', '<|>', '|||>'],
  ...['<|||', '||>', '<||', '...', '..<', '..=', '/**', '***', '+++', '---', ':::', '>>>', '<<<', '||=', '&&=', '??='],
  ...['<$>', '<*>', '<+>', '</>', '##', '###', '####', '#{', '#[', '#(', '#_', '#?', '#!', '#:', '->', '<-', '=>'],
  ...['<=', '>=', '==', '!=', '=~', '!~', '::', ':=', ':>', ':<', '++', '--', '**', '//', '/*', '*/', '&&', '||', '|>'],
  ...[
    '<|',
    '<>',
    '</',
    '/>',
    '>>',
    '<<',
    '..',
    '..',
    '??',
    '?.',
    '?:',
    '~>',
    '<~',
    '~-',
    '-~',
    '~@',
    '@_',
    '^=',
    '_|_',
  ],
  ...['[|', '|]', '{|', '|}', ';;', '$>', '<$', '<*', '*>', '<+', '+>', '%%', '~~', '/='],
].sort((a, b) => b.length - a.length);
const mostChars = ligatures[0]?.length ?? 0;
const known = new Set(ligatures);
/** Almost every line of text has none: one look tells. */
const anyTwo = /[-!#$%&*+./:;<=>?@[\]^_{|}~]{2}/;

/** Ranges `[start, end)` of a line that are drawn as one. */
export function ligatureRanges(text: string): [number, number][] {
  const ranges: [number, number][] = [];
  if (!anyTwo.test(text) && !text.includes('#(')) return ranges;
  for (let at = 0; at < text.length; at += 1) {
    for (let length = Math.min(mostChars, text.length - at); length > 1; length -= 1) {
      if (!known.has(text.slice(at, at + length))) continue;
      ranges.push([at, at + length]);
      at += length - 1;
      break;
    }
  }
  return ranges;
}
