import type { BoxView } from '#shared/api-schemas.ts';
import type { ApiClient } from '../sdk/api-client.ts';
import { keepWatching } from '../sdk/keep-watching.ts';
import { withBreakHints } from './break-hints.ts';
import { printable, statusLine } from './output.ts';

/** Waits until the container that `before` shows is gone (or no box is being made any more); tells what it waits for. */
export async function waitUntilGone(api: ApiClient, before: BoxView, signal: AbortSignal): Promise<void> {
  const status = statusLine();
  // What is waited for was asked for: the server was there.
  const deps = { ...withBreakHints('the watch', () => true, status.show), api };
  let isKnown = true;
  try {
    for await (const event of keepWatching(deps, before.user, signal)) {
      if (event.type === 'full') isKnown = false;
      else if (event.type === 'box') {
        isKnown = true;
        const { user, phase, containerId, message } = event.box;
        if (phase === 'absent' || (before.containerId !== null && containerId !== before.containerId)) return;
        status.show(`${user}: ${printable(message) || phase}`);
      } else if (event.type === 'removed' || !isKnown) return;
    }
  } finally {
    status.clear();
  }
}
