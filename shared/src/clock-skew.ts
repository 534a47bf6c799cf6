import { failure, type Finding, ok, warning } from './finding.ts';

/** Terminal tokens are refused beyond that. */
const failAtMs = 5_000;
const warnAtMs = 1_500;

/** Asks a clock, and how far it was ahead of the own one; `unsureMs`: how long the question took, one way. */
export async function askClock(
  ownMs: () => number,
  timeMs: () => Promise<number>,
): Promise<{ aheadMs: number; unsureMs: number }> {
  const before = ownMs();
  const told = await timeMs();
  const after = ownMs();
  return { aheadMs: told - (before + after) / 2, unsureMs: (after - before) / 2 };
}

/** What is certain of a difference counts. */
export function clockFinding(whose: string, asked: { aheadMs: number; unsureMs: number }, than: string): Finding {
  const { aheadMs, unsureMs } = asked;
  const check = `clock of ${whose}`;
  const certainMs = Math.max(0, Math.abs(aheadMs) - unsureMs);
  if (certainMs <= warnAtMs) return ok(check, `as ${than}`);
  const found = `${(Math.abs(aheadMs) / 1_000).toFixed(1)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} ${than}`;
  const mend = 'let NTP set both clocks (`timedatectl set-ntp true`)';
  return certainMs > failAtMs ? failure(check, found, mend) : warning(check, found, mend);
}
