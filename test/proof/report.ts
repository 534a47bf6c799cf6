import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import type { Outcome } from './run-part.ts';

/** The report as Markdown: on what it was run, what each part said at its end, and the command that does it again. */
export function reportOf(outcomes: readonly Outcome[], startedAt: Date): string {
  const rows = outcomes.map(
    ({ part, command, verdict, minutes }) =>
      `| ${part.name} | ${part.shows} | \`${command}\` | ${minutes.toFixed(1)} min | ${verdict} |`,
  );
  const told = outcomes.flatMap(({ part, lastLines, log }) => [
    `## ${part.name}`,
    '',
    '```',
    ...lastLines,
    '```',
    '',
    `All of it: ${log}`,
    '',
  ]);
  return [
    '# Proof',
    '',
    `Begun ${startedAt.toISOString()}, commit ${commit()}, Node ${process.version}, Linux ${release()}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB.`,
    '',
    '| part | shows | command | took | verdict |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    ...told,
  ].join('\n');
}

/** What was proved is this commit only where nothing was changed since. */
function commit(): string {
  const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim();
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : ' with changes'}`;
  } catch {
    return 'unknown (no git here)';
  }
}
