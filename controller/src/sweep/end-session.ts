import { type BoxStore, sweeper } from '#shared/box-store.ts';
import type { Session } from '#shared/lease.ts';
import type { BoxRuntime } from '../runtime/port.ts';

/**
 * Ends a session that nobody owns: its record is the sweep's first, then what runs in the box is ended, then the record goes. A
 * gateway that comes back late finds that it has lost it, and nobody begins it anew meanwhile: that shell would bear the same
 * mark, and end too. Where it fails, the record stays the sweep's, and a later round tries again. False: somebody has it now, or the
 * reconciler was paused meanwhile: a round goes on for minutes, so its mode is asked for each.
 * `gateway` of the session: whose it was judged to be, '' = it has no record.
 */
export async function endSession(
  {
    store,
    runtime,
  }: { store: Pick<BoxStore, 'mode' | 'sweepSession' | 'endSession'>; runtime: Pick<BoxRuntime, 'endSession'> },
  session: Session,
  told: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { user, id, containerId } = session;
  if ((await store.mode()).mode.mode === 'pause') return false;
  if (!(await store.sweepSession(session))) return false;
  // '' = it never had a shell.
  if (containerId !== '') await runtime.endSession(containerId, id, signal);
  await store.endSession({ user, id, gateway: sweeper }, told, 'spoonbox');
  return true;
}
