import { type Finding, ok, warning } from '#shared/finding.ts';
import { quotaOf } from '#shared/home-usage.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { homeTotals, overQuota } from '../homes/totals.ts';
import type { Check } from './check.ts';

const check = 'homes';
/** More than these are counted, not named. */
const mostNamed = 10;

export const homesCheck: Check = {
  name: check,
  looksAt:
    'What homes take up, as each was measured last (once an hour while its box runs), against the `home.quota` of its class: one that takes up more is a warning.',
  needsRedis: true,
  async run({ homes, classes }) {
    const known = await homes.all();
    const totals = homeTotals(known, classes);
    const all = `${totals.measured} measured, ${humanBytes(totals.usedBytes)} together, the largest ${humanBytes(totals.largestBytes)}`;
    const over = overQuota(known, classes);
    if (over.length === 0) return [ok(check, totals.measured === 0 ? 'none has been measured yet' : all)];
    const named = over.slice(0, mostNamed).map((home): Finding => {
      const of = `${humanBytes(home.usedBytes ?? 0)} of ${humanBytes(quotaOf(home.class, classes) ?? 0)}`;
      const mend = 'ask its user to make room, or raise `home.quota` of the class';
      return warning(check, `the home of ${home.user} takes up ${of} that class ${home.class} allows`, mend);
    });
    if (over.length <= mostNamed) return named;
    const more = over.length - mostNamed;
    const rest = `${more === 1 ? '1 more home takes' : `${more} more homes take`} up more than the class allows`;
    return [...named, warning(check, rest, '`spoonbox get boxes -o json` has `home` of each box')];
  },
};
