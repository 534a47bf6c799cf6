import type { BoxView } from '#shared/api-schemas.ts';
import { relativeTime, utcTime } from '#shared/human-time.ts';
import { colour, printable, table } from '../output.ts';

/** `Phase`, and what it is. */
export type Fact = readonly [name: string, value: string];

export function factLines(facts: readonly Fact[]): string[] {
  return table(facts.map(([name, value]) => [`${name}:`, value]));
}

export function section(title: string, rows: string[][], header?: string[]): string[] {
  const lines = table(rows.length > 0 && header ? [header, ...rows] : rows);
  return ['', colour('bold', `${title}:`), ...(rows.length === 0 ? ['  none'] : lines.map((line) => `  ${line}`))];
}

/** Whose box it is, and how that is. */
export function boxFact({ user, phase, step, message }: BoxView): Fact {
  const state = step === null ? phase : `${phase} (${step})`;
  return ['Box', `${user}, ${state}${message === '' ? '' : `: ${printable(message)}`}`];
}

/** `12:03:10 UTC (2 h ago)`. */
export function timeOf(ms: number, now: number): string {
  return `${utcTime(ms, now)} (${relativeTime(ms, now)})`;
}
