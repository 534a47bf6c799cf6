import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { parseClass } from '#shared/classes.ts';
import { must, target } from '../target.ts';
import { junk, mutated, mutatedText, text } from '../values.ts';

const file = new URL('../../../manifests/classes/default.yaml', import.meta.url);
const good = readFileSync(file, 'utf8');
const value: unknown = parse(good);
const path = 'classes/default.yaml';

const unitless = fc.oneof(fc.bigInt({ min: 0n }).map(String), fc.constantFrom('0', '1', '9'.repeat(400)));
const withUnit = fc
  .tuple(unitless, fc.constantFrom('ms', 's', 'm', 'h', 'd', 'KiB', 'MiB', 'GiB', ''))
  .map((both) => both.join(''));
const odd = fc.record({
  field: fc.constantFrom('stopGrace', 'memory', 'detached', 'attached', 'timeout'),
  by: withUnit,
});

const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${[...'bcdefghij'].map((name, at) => `${name}: &${name} [${`*${'abcdefghi'[at]}, `.repeat(9)}x]`).join('\n')}\n`;

const inputs = fc.oneof(
  mutatedText(good),
  mutated(value).map((changed) => stringify(changed ?? null)),
  odd.map(({ field, by }) => good.replace(new RegExp(`^(\\s*${field}:).*$`, 'm'), `$1 ${by}`)),
  junk.map((any) => JSON.stringify(any)),
  text,
);

export const manifests = target(
  'class files',
  20,
  inputs,
  () => ({
    check(input) {
      const result = parseClass(input, path);
      if ('problems' in result) {
        must(result.problems.length > 0, 'a refusal names a problem');
        for (const problem of result.problems) {
          must(/^classes\/default\.yaml:\d+: /.test(problem), `a problem names file and line: ${problem}`);
          must(problem.length < 4_000, 'a problem is one that people read');
        }
        return;
      }
      const { limits, idle, stopGrace, readiness } = result.class;
      for (const number of [limits.memory, limits.pids, idle.detached, idle.attached, stopGrace, readiness.timeout]) {
        must(
          Number.isSafeInteger(number) && number >= 0,
          `a size or a time is a number that can be used, not ${number}`,
        );
      }
      must(limits.memory > 0 && Math.round(limits.cpus * 1e9) > 0, 'a limit is one: the engine takes 0 for none');
      // Longer ones overflow the timers of the runtime and fire at once.
      must(readiness.timeout < 2 ** 31 && stopGrace < 2 ** 30, 'a wait fits a timer');
    },
  }),
  [
    bomb,
    '['.repeat(5_000),
    `${'a: {'.repeat(2_000)}`,
    '- '.repeat(2_000),
    `a: "${'\\u0000'.repeat(1_000)}"`,
    '&a [*a]',
    '<<: *x',
    '%YAML 9.9\n---\na: 1',
    'x'.repeat(1_000_000),
  ],
);
