import type { BoxStore } from '#shared/box-store.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { ProcessState, Terminal } from './exec/port.ts';
import type { TerminalLease } from './lease.ts';
import type { GatewayLimits } from './limits.ts';

/** How a terminal ended: its shell by itself, or its box under it. */
export type Found = { readonly is: 'exited'; readonly code: number } | { readonly is: 'lost'; readonly why: string };

/** Exit codes that a box which stops or is killed leaves its shells with: HUP, KILL, TERM. */
const boxMayHaveDied = new Set([129, 137, 143]);
const lookEveryMs = 100;
/** A box that dies is seen as running for a while longer: its shells go first, and a busy engine is slow. */
const looksBeforeBelief = 30;

/**
 * Looks at a terminal whose stream has ended. An ordinary exit code in a running box is believed at once; one that a dying
 * box leaves is believed when the box still runs 3 s later and the reconciler still calls it ready. Where a reap ended
 * the lease, the lease's own ending arrives by `signal`.
 */
export async function lookAfterEnd(
  deps: { store: Pick<BoxStore, 'read'>; clock: Clock; limits: Pick<GatewayLimits, 'autopsyMs'>; log: Logger },
  ended: {
    user: UserName;
    containerId: string;
    terminal: Pick<Terminal, 'state'>;
    lease: Pick<TerminalLease, 'check'>;
  },
  signal: AbortSignal,
): Promise<Found> {
  let looks = Math.ceil(deps.limits.autopsyMs / lookEveryMs);
  let seen = 0;
  for (let look = 1; look <= looks; look += 1) {
    const state = await stateOf(deps.log, ended.terminal);
    signal.throwIfAborted();
    if (state && !state.running && state.exitCode !== null && state.boxRuns) {
      if (!boxMayHaveDied.has(state.exitCode)) return { is: 'exited', code: state.exitCode };
      // Looks that nobody answered say nothing: an engine that comes back shows a dying box as running, too.
      seen += 1;
      looks = Math.max(looks, look + looksBeforeBelief - seen);
      await ended.lease.check();
      signal.throwIfAborted();
      if (!(await boxIsReady(deps, ended))) return { is: 'lost', why: 'the box was stopped' };
      if (seen >= looksBeforeBelief) return { is: 'exited', code: state.exitCode };
    }
    if (state && !state.boxRuns) {
      await ended.lease.check();
      signal.throwIfAborted();
      return { is: 'lost', why: 'the box has ended' };
    }
    await sleep(deps.clock, lookEveryMs, signal);
  }
  return { is: 'lost', why: 'the connection to the shell was lost' };
}

async function stateOf(log: Logger, terminal: Pick<Terminal, 'state'>): Promise<ProcessState | null> {
  try {
    return await terminal.state();
  } catch (error) {
    log.debug({ error }, 'a terminal that ended cannot be looked at; trying again');
    return null;
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
