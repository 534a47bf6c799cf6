import type { BoxView } from '#shared/api-schemas.ts';
import type { ApiClient } from '../sdk/api-client.ts';
import { ApiRefusal } from '../sdk/errors.ts';
import { printable, statusLine } from './output.ts';

const lookEveryMs = 300;

/** Waits until the container that `before` shows is gone (or no box is being made any more); tells what it waits for. */
export async function waitUntilGone(client: ApiClient, before: BoxView, signal: AbortSignal): Promise<void> {
  const status = statusLine();
  try {
    for (;;) {
      const box = await client.box(before.user, signal).catch((error: unknown) => {
        if (error instanceof ApiRefusal && error.problem.code === 'box-unknown') return null;
        throw error;
      });
      if (box === null || box.phase === 'absent') return;
      if (before.containerId !== null && box.containerId !== before.containerId) return;
      status.show(`${box.user}: ${printable(box.message) || box.phase}`);
      await pause(lookEveryMs, signal);
    }
  } finally {
    status.clear();
  }
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
