import { humanDuration, relativeTime, utcTime } from '#shared/human-time.ts';
import { useServerNow } from '../live/server-clock.ts';

/** `in 4 min`, `2 h ago`, going on; the exact time is in the title. */
export function RelativeTime({ at }: { readonly at: number }) {
  const now = useServerNow();
  return (
    <time dateTime={isoOf(at)} title={utcTime(at, now)}>
      {relativeTime(at, now)}
    </time>
  );
}

/** `29 min 51 s`, counting down to 0. */
export function Countdown({ until }: { readonly until: number }) {
  const now = useServerNow();
  return (
    <time dateTime={isoOf(until)} title={`until ${utcTime(until, now)}`} className="number">
      {humanDuration(until - now)}
    </time>
  );
}

function isoOf(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}
