import type { BoxClasses } from '#shared/box-class.ts';
import { type Finding, ok, warning } from '#shared/finding.ts';
import { type HomeUsage, quotaOf } from '#shared/home-usage.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { homeTotals, overQuota } from '../homes/totals.ts';
import type { Check } from './check.ts';

const check = 'homes';
/** More than these are counted, not named. */
const mostNamed = 10;

export const homesCheck: Check = {
  name: check,
  looksAt:
    'What homes take up, as each was measured last (once an hour while its box runs), against the `home.quota` of its class: one that takes up more is a warning, and so are those that could not be measured.',
  needsRedis: true,
  async run({ homes, classes }) {
    const known = await homes.all();
    const totals = homeTotals(known, classes);
    const all = `${totals.measured} measured, ${humanBytes(totals.usedBytes)} together, the largest ${humanBytes(totals.largestBytes)}`;
    const over = overQuota(known, classes);
    const unknown = unmeasured(known, classes);
    if (over.length + unknown.length === 0) {
      return [ok(check, totals.measured === 0 ? 'none has been measured yet' : all)];
    }
    const named = over.slice(0, mostNamed).map((home): Finding => {
      const of = `${humanBytes(home.usedBytes ?? 0)} of ${humanBytes(quotaOf(home.class, classes) ?? 0)}`;
      const mend = 'ask its user to make room, or raise `home.quota` of the class';
      return warning(check, `the home of ${home.user} takes up ${of} that class ${home.class} allows`, mend);
    });
    if (over.length <= mostNamed) return [...named, ...unknown];
    const more = over.length - mostNamed;
    const rest = `${more === 1 ? '1 more home takes' : `${more} more homes take`} up more than the class allows`;
    return [...named, warning(check, rest, '`spoonbox get boxes -o json` has `home` of each box'), ...unknown];
  },
};

/** Where a class has a quota, what the last look could not tell matters. */
function unmeasured(known: readonly HomeUsage[], classes: BoxClasses): Finding[] {
  const some = known.filter((home) => home.problem !== '' && quotaOf(home.class, classes) !== null);
  const [first] = some;
  if (first === undefined) return [];
  const what =
    some.length === 1 ? `the home of ${first.user}` : `${some.length} homes, that of ${first.user} among them,`;
  const mend = 'mend the image where a program is missing; of a home with too many files, its user must remove some';
  return [warning(check, `${what} could not be measured: ${first.problem}`, mend)];
}
