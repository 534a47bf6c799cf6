import { largest, median, percentile, rounded } from './statistics.ts';

/** Rows of text in columns: the first to the left, numbers to the right, as they are read. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    widths
      .map((width, column) => (column === 0 ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width)))
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export const samplesHead = ['', 'n', 'p50', 'p95', 'p99', 'max'];

export function samplesRow(name: string, samples: readonly number[]): string[] {
  const values = [median(samples), percentile(samples, 0.95), percentile(samples, 0.99), largest(samples)];
  return [name, String(samples.length), ...values.map(rounded)];
}

/** `1.12 × raw (goal 1.25): met`. */
export function verdict(value: number, goal: number, text: string): string {
  return `${text} (goal ${goal}): ${value <= goal ? 'met' : 'MISSED'}`;
}
