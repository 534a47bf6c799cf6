import fc from 'fast-check';

/** Words that have broken programs before. */
export const hostileWord = fc.constantFrom(
  '',
  ' ',
  '.',
  '..',
  '../..',
  'a..b',
  '-',
  '\0',
  'a\n',
  'a\r\nb: c',
  '__proto__',
  'constructor',
  'toString',
  'spoon-box-',
  '{x}',
  '%00',
  '%2e%2e%2f',
  '\u202eabc',
  'ａｂｃ',
  'K', // the Kelvin sign, which lower-cases to k
  'ı',
  '\ud800',
  '\u001b]0;x\u0007',
  'a'.repeat(39),
  'a'.repeat(40),
  'a'.repeat(1_000),
  '9'.repeat(400),
  'a:b',
  'null',
);

export const text = fc.oneof(hostileWord, fc.string(), fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }));

export const oddNumber = fc.oneof(
  fc.constantFrom(0, -0, -1, 1, 1.5, 1e-12, 255, 2 ** 31, 2 ** 32, 2 ** 53, 1e14, 1e15, 1e20, 1e300, -1e300),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

/** Any JSON value, odd ones first. */
export const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, false, [], {}, [[]], [null], { length: 3 }),
  oddNumber,
  text,
  fc.jsonValue({ maxDepth: 2 }),
);

type Path = readonly (string | number)[];

/** A value of the right shape of which up to three parts were replaced, removed, renamed or wrapped. */
export function mutated(...bases: readonly unknown[]): fc.Arbitrary<unknown> {
  return fc.constantFrom(...bases).chain((base) => {
    const change = fc.record({
      path: fc.constantFrom(...pathsOf(base)),
      how: fc.constantFrom('replace', 'remove', 'wrap', 'rename'),
      by: junk,
    });
    return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
      return changes.reduce((value, { path, how, by }) => changedAt(value, path, how, by), base);
    });
  });
}

/** A text of which parts were cut, doubled, swapped for others, or that was cut off. */
export function mutatedText(...bases: readonly string[]): fc.Arbitrary<string> {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.nat({ max: 40 }),
    how: fc.constantFrom('cut', 'double', 'insert', 'replace', 'end'),
    by: text,
  });
  return fc.tuple(fc.constantFrom(...bases), fc.array(change, { minLength: 1, maxLength: 4 })).map(([base, changes]) =>
    changes.reduce((now, { at, length, how, by }) => {
      const from = Math.floor(at * now.length);
      const [before, part, after] = [now.slice(0, from), now.slice(from, from + length), now.slice(from + length)];
      if (how === 'cut') return before + after;
      if (how === 'double') return before + part + part + after;
      if (how === 'insert') return before + by + part + after;
      if (how === 'replace') return before + by + after;
      return before;
    }, base),
  );
}

/** The same bytes in pieces, cut anywhere. */
export function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => Math.floor(cut * bytes.length)))].toSorted((a, b) => a - b);
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length));
}
export const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 8 });

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, part]) => pathsOf(part, [...path, key]))];
}

function changedAt(value: unknown, [key, ...rest]: Path, how: string, by: unknown): unknown {
  if (key === undefined) return how === 'wrap' ? [value] : by;
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = Object.assign(Array.isArray(value) ? [] : Object.create(null), value);
  const part = copy[key];
  if (rest.length > 0) copy[key] = changedAt(part, rest, how, by);
  else if (how === 'replace') copy[key] = by;
  else if (how === 'wrap') copy[key] = [part];
  else {
    delete copy[key];
    if (how === 'rename' && !Array.isArray(copy)) copy[`${typeof by === 'string' ? by : how}`.slice(0, 20)] = part;
  }
  return copy;
}
