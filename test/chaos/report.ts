import { writeFile } from 'node:fs/promises';
import { type History, percentile } from './history.ts';
import type { Options } from './options.ts';
import type { TerminalHistory } from './terminal-history.ts';

/** Said, and not judged: how busy the machine is decides it, too. */
const healGoalMs = 10_000;

export interface Report {
  readonly seed: number;
  readonly minutes: number;
  readonly users: number;
  readonly faults: Readonly<Record<string, number>>;
  /** how often each was looked at and held */
  readonly promises: Readonly<Record<string, number>>;
  readonly closes: Readonly<Record<string, number>>;
  readonly notes: Readonly<Record<string, number>>;
  readonly violations: readonly { readonly atMs: number; readonly what: string }[];
  readonly healMs: { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number };
  /** of each kind of fault; two faults at once count for both */
  readonly healMsByKind: Readonly<Record<string, { readonly p50: number; readonly max: number }>>;
}

export function reportOf(options: Options, history: History, terminals: TerminalHistory): Report {
  const kinds = new Map<string, number[]>();
  for (const { kind, healMs } of history.faults) {
    const heals = kinds.get(kind) ?? [];
    kinds.set(kind, heals);
    if (healMs !== null) heals.push(Math.round(healMs));
  }
  const heals = history.faults.flatMap(({ healMs }) => (healMs === null ? [] : [Math.round(healMs)]));
  const sorted = [...kinds].sort(([one], [other]) => one.localeCompare(other));
  return {
    seed: options.seed,
    minutes: options.minutes,
    users: options.users,
    faults: Object.fromEntries(sorted.map(([kind]) => [kind, history.faults.filter((f) => f.kind === kind).length])),
    promises: Object.fromEntries(history.promises),
    closes: Object.fromEntries(terminals.closes),
    notes: Object.fromEntries(history.notes),
    violations: history.violations,
    healMs: {
      count: heals.length,
      p50: percentile(heals, 0.5),
      p99: percentile(heals, 0.99),
      max: percentile(heals, 1),
    },
    healMsByKind: Object.fromEntries(
      sorted.map(([kind, values]) => [kind, { p50: percentile(values, 0.5), max: percentile(values, 1) }]),
    ),
  };
}

export function textOf(report: Report, startedMs: number): string {
  const table = (title: string, entries: Readonly<Record<string, number>>): string[] => [
    title,
    ...Object.entries(entries).map(([name, count]) => `${String(count).padStart(9)}  ${name}`),
  ];
  const faults = Object.entries(report.faults).map(([kind, count]) => {
    const { p50, max } = report.healMsByKind[kind] ?? { p50: 0, max: 0 };
    return `${String(count).padStart(9)}  ${kind} (healed in ${p50} ms, at most ${max} ms)`;
  });
  const { healMs, violations } = report;
  return [
    'faults',
    ...faults,
    ...table('promises: how often each was looked at and held', report.promises),
    ...table('how terminals ended', report.closes),
    ...table('noted', report.notes),
    `time to heal: p50 ${healMs.p50} ms, p99 ${healMs.p99} ms, max ${healMs.max} ms of ${healMs.count}; the goal of p99 below ${healGoalMs / 1_000} s is ${healMs.p99 < healGoalMs ? 'met' : 'MISSED'}`,
    ...violations.map(({ atMs, what }) => `VIOLATED at ${((atMs - startedMs) / 1_000).toFixed(1)} s: ${what}`),
    `${violations.length} violations`,
    '',
  ].join('\n');
}

export async function writeReport(file: string, report: Report): Promise<void> {
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}
