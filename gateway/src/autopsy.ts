import type { BoxStore } from '#shared/box-store.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { Terminal } from './exec/port.ts';
import type { TerminalLease } from './lease.ts';
import type { GatewayLimits } from './limits.ts';

/** How a terminal ended: its shell by itself, its box under it, or only its connection with a shell that goes on. */
export type Found =
  | { readonly is: 'exited'; readonly code: number }
  | { readonly is: 'outlived'; readonly code: number }
  | { readonly is: 'lost'; readonly why: string };

/** Exit codes that a box which stops or is killed leaves its shells with: HUP, KILL, TERM. */
const boxMayHaveDied = new Set([129, 137, 143]);
const lookEveryMs = 100;
/** A box that dies is seen as running for a while longer: its shells go first, and a busy engine is slow. */
const believeAfterMs = 3_000;
/** A look that is cut off at the end and had less time than this says nothing of the engine: what was seen before it stays. */
const fairLookMs = 1_000;

/**
 * Looks at a terminal whose stream has ended. An ordinary exit code in a running box is believed at once; one that a dying
 * box leaves is believed when the box still runs 3 s later and the reconciler still calls it ready; unless the shell is there
 * without its connection, whose client was killed. Where a reap ended
 * the lease, the lease's own ending arrives by `signal`. Takes `autopsyMs` and those 3 s at most, whatever the engine does.
 */
export async function lookAfterEnd(
  deps: { store: Pick<BoxStore, 'read'>; clock: Clock; limits: Pick<GatewayLimits, 'autopsyMs'>; log: Logger },
  ended: {
    user: UserName;
    containerId: string;
    terminal: Pick<Terminal, 'state'> & Partial<Pick<Terminal, 'outlives'>>;
    lease: Pick<TerminalLease, 'check'>;
  },
  signal: AbortSignal,
): Promise<Found> {
  const { clock } = deps;
  let until = clock.monotonicMs() + deps.limits.autopsyMs;
  let isSeen = false;
  let badCode: number | null = null;
  while (clock.monotonicMs() < until) {
    const hadMs = until - clock.monotonicMs();
    const state = await answerOf(deps, () => ended.terminal.state(), until, signal);
    if (state !== null || hadMs >= fairLookMs) badCode = null;
    if (state && !state.running && state.exitCode !== null && state.boxRuns) {
      if (!boxMayHaveDied.has(state.exitCode)) return { is: 'exited', code: state.exitCode };
      badCode = state.exitCode;
      // From the first answer on: an engine that comes back shows a dying box as running, too.
      if (!isSeen) until = clock.monotonicMs() + believeAfterMs;
      isSeen = true;
      await ended.lease.check();
      signal.throwIfAborted();
      if (!(await boxIsReady(deps, ended))) return { is: 'lost', why: 'the box was stopped' };
      const outlives = async (): Promise<boolean> => (await ended.terminal.outlives?.()) ?? false;
      if (await answerOf(deps, outlives, until, signal)) return { is: 'outlived', code: state.exitCode };
    }
    if (state && !state.boxRuns) {
      await ended.lease.check();
      signal.throwIfAborted();
      return { is: 'lost', why: 'the box has ended' };
    }
    await sleep(clock, lookEveryMs, signal);
  }
  if (badCode !== null) return { is: 'exited', code: badCode };
  return { is: 'lost', why: 'the connection to the shell was lost' };
}

/** null: the engine does not answer, or not by then. */
async function answerOf<T>(
  { clock, log }: { clock: Clock; log: Logger },
  ask: () => Promise<T>,
  until: number,
  signal: AbortSignal,
): Promise<T | null> {
  const answered = new AbortController();
  const limit = sleep(clock, Math.max(0, until - clock.monotonicMs()), AbortSignal.any([signal, answered.signal]));
  try {
    return await Promise.race([ask(), limit.then(() => null)]);
  } catch (error) {
    signal.throwIfAborted();
    log.debug({ error }, 'a terminal that ended cannot be looked at; trying again');
    return null;
  } finally {
    limit.catch(() => {}); // it is given up here
    answered.abort();
  }
}

/** What the reconciler says; where Redis does not answer, the engine's word has to do. */
async function boxIsReady(
  deps: { store: Pick<BoxStore, 'read'>; log: Logger },
  { user, containerId }: { user: UserName; containerId: string },
): Promise<boolean> {
  try {
    const { status } = await deps.store.read(user);
    return status === null || (status.phase === 'ready' && status.containerId === containerId);
  } catch (error) {
    deps.log.debug({ user, error }, 'the state of a box cannot be read');
    return true;
  }
}
