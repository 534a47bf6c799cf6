import type { BoxClasses } from '#shared/box-class.ts';
import { type HomeUsage, isOverQuota, quotaOf } from '#shared/home-usage.ts';

/** What homes take up, without names: of those that were ever measured. */
export interface HomeTotals {
  readonly measured: number;
  readonly usedBytes: number;
  readonly largestBytes: number;
  readonly overQuota: number;
}

export function homeTotals(homes: readonly HomeUsage[], classes: BoxClasses): HomeTotals {
  const measured = homes.filter(({ usedBytes }) => usedBytes !== null);
  const sizes = measured.map(({ usedBytes }) => usedBytes ?? 0);
  return {
    measured: measured.length,
    usedBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    largestBytes: sizes.reduce((largest, bytes) => Math.max(largest, bytes), 0),
    overQuota: overQuota(measured, classes).length,
  };
}

/** The largest first. */
export function overQuota(homes: readonly HomeUsage[], classes: BoxClasses): HomeUsage[] {
  return homes
    .filter((home) => isOverQuota({ ...home, quotaBytes: quotaOf(home.class, classes) }))
    .toSorted((a, b) => (b.usedBytes ?? 0) - (a.usedBytes ?? 0));
}
