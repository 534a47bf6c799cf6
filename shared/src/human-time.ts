/** Times and durations for people. Everything here is pure: `now` always comes from the caller. */

const units: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** The last millisecond of a year with four digits. */
const latestDateMs = Date.UTC(10_000, 0) - 1;

/** `45 s`, `4 min`, `2 h 5 min`, `3 d`: the largest unit, and the next one where it matters (below 10 of the largest). */
export function humanDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000)) * 1_000;
  const at = units.findIndex(([unitMs]) => seconds >= unitMs);
  const unit = units[at];
  if (!unit) return '0 s';
  const [unitMs, name] = unit;
  const count = Math.floor(seconds / unitMs);
  const next = units[at + 1];
  const rest = next ? Math.floor((seconds - count * unitMs) / next[0]) : 0;
  return count < 10 && next && rest > 0 ? `${count} ${name} ${rest} ${next[1]}` : `${count} ${name}`;
}

/** `12:03:10 UTC`, with the date where it is not today's. */
export function utcTime(atMs: number, now: number): string {
  const at = shownTime(atMs);
  const iso = new Date(at).toISOString();
  const clock = `${iso.slice(11, 19)} UTC`;
  return dayOf(at) === dayOf(shownTime(now)) ? clock : `${iso.slice(0, 10)} ${clock}`;
}

/** `in 4 min`, `now`, `2 h ago`. */
export function relativeTime(atMs: number, now: number): string {
  const delta = atMs - now;
  if (Math.abs(delta) < 500) return 'now';
  return delta > 0 ? `in ${humanDuration(delta)}` : `${humanDuration(-delta)} ago`;
}

/** A damaged record may hold a time that no date can show: it is shown as the nearest one that can be. */
function shownTime(atMs: number): number {
  return Math.min(Math.max(atMs, 0), latestDateMs);
}

/** Days of UTC since 1970. */
function dayOf(atMs: number): number {
  return Math.floor(atMs / 86_400_000);
}
