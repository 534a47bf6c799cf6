import type { Clock } from '#shared/clock.ts';
import { ApiRefusal, Unreachable } from './errors.ts';

/** The waits between two attempts: doubled from the first to the last, each shortened at random by up to a half. */
const firstRetryMs = 250;
const longestRetryMs = 5_000;

/** Whether the same request may do better a while later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Unreachable) return true;
  return error instanceof ApiRefusal && (error.problem.status >= 500 || [408, 429].includes(error.problem.status));
}

export function codeOf(error: unknown): string | null {
  return error instanceof ApiRefusal ? error.problem.code : null;
}

/** `failures`: how often it has failed in a row, at least once. */
export function retryAfterMs(failures: number, random: () => number): number {
  const wholeMs = Math.min(longestRetryMs, firstRetryMs * 2 ** (failures - 1));
  return wholeMs * (1 - random() / 2);
}

/** One request that must be answered in time; otherwise it is as good as unreachable. */
export async function within<Answer>(
  clock: Clock,
  withinMs: number,
  ask: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const stop = new AbortController();
  const cancel = clock.after(withinMs, () => {
    stop.abort(new Unreachable(`no answer within ${Math.ceil(withinMs / 1_000)} s`));
  });
  try {
    return await ask(stop.signal);
  } finally {
    cancel();
  }
}
