import { type Interval, intervalText } from '../support/intervals.ts';
import { tableOf } from '../support/table.ts';

/** One line of the table: what was measured, beside what, and whether the goal is met. */
export interface Row {
  readonly what: string;
  readonly baseline: string;
  readonly ours: string;
  /** ours by the baseline, with its 95 % interval, where the goal is about that */
  readonly ratio: string;
  readonly goal: string;
  readonly isMet: boolean | null;
}

/** The whole interval must lie within the goal. */
export interface Goal {
  readonly atMost?: number;
  readonly atLeast?: number;
}

export function isWithin({ low, high }: Interval, { atMost, atLeast }: Goal): boolean {
  return (atMost === undefined || high <= atMost) && (atLeast === undefined || low >= atLeast);
}

export function ratioRow(of: { what: string; baseline: string; ours: string; ratio: Interval; goal: Goal }): Row {
  return { ...of, ratio: intervalText(of.ratio), goal: goalText(of.goal, '×'), isMet: isWithin(of.ratio, of.goal) };
}

export function valueRow(of: { what: string; baseline: string; unit: string; value: Interval; goal: Goal }): Row {
  const { what, baseline, unit, value, goal } = of;
  const ours = `${intervalText(value)} ${unit}`;
  return { what, baseline, ours, ratio: '', goal: goalText(goal, unit), isMet: isWithin(value, goal) };
}

export function rowsTable(rows: readonly Row[]): string {
  const verdict = ({ isMet }: Row): string => (isMet === null ? '' : isMet ? 'met' : 'MISSED');
  return tableOf(
    ['', 'baseline', 'ours', 'ratio [95 %]', 'goal', ''],
    rows.map((row) => [row.what, row.baseline, row.ours, row.ratio, row.goal, verdict(row)]),
  );
}

function goalText({ atMost, atLeast }: Goal, unit: string): string {
  if (atMost !== undefined) return `≤ ${atMost} ${unit}`;
  return `≥ ${atLeast} ${unit}`;
}
