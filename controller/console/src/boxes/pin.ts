import type { ClassName } from '#shared/identity.ts';
import { api } from '../api.ts';

/** The one pin that the console holds on a box: to pin again is to pin for longer. */
export const consolePinId = 'console-pin';

/** How long a pin may be, as it is offered. */
export const pinTimes = [
  { ms: 3_600_000, text: '1 hour' },
  { ms: 8 * 3_600_000, text: '8 hours' },
  { ms: 24 * 3_600_000, text: '1 day' },
  { ms: 7 * 24 * 3_600_000, text: '7 days' },
  { ms: 30 * 24 * 3_600_000, text: '30 days' },
] as const;

/** Starts the box where it is not there, and keeps it for that long. `boxClass`: null = as it is, or the default one. */
export async function pin(
  user: string,
  holder: string,
  ttlMs: number,
  boxClass: ClassName | null,
  signal: AbortSignal,
): Promise<void> {
  const body = { kind: 'pin', holder, ttlMs, ...(boxClass === null ? {} : { class: boxClass }) } as const;
  await api.takeLease(user, consolePinId, body, 0, signal);
}
