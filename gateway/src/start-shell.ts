import type { Checkout } from '#shared/checkout.ts';
import { sleep } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import type { NoticeCode } from '#shared/terminal-protocol.ts';
import { type CheckoutDeps, prepareCheckout } from './checkout/prepare.ts';
import type { BoxExec, StartTerminal, Terminal } from './exec/port.ts';
import type { ReadEnvironment } from './environment.ts';
import type { StartQueue } from './exec/start-queue.ts';
import type { GatewayMeter } from './metrics/gateway-meter.ts';
import type { WaitDeps } from './wait-ready.ts';

export interface StartDeps extends Pick<WaitDeps, 'clock' | 'limits' | 'log'>, Pick<CheckoutDeps, 'commands'> {
  readonly exec: BoxExec;
  readonly starts: StartQueue;
  readonly meter: GatewayMeter;
  readonly environment: ReadEnvironment;
}

export interface Started {
  readonly terminal: Terminal;
  /** it is the shell that another gateway has left or lost */
  readonly isResumed: boolean;
}

/**
 * Starts a session's shell in its turn; with `resumes` goes on with the one that is there already. null: not in this container,
 * or not now; it was told, and is to be tried again.
 */
export async function startShell(
  deps: StartDeps,
  of: {
    user: UserName;
    start: StartTerminal;
    checkout: Checkout | null;
    resumes: boolean;
  },
  tell: { notice: (code: NoticeCode, message: string) => void; progress: (line: string) => void },
  signal: AbortSignal,
): Promise<Started | null> {
  const { exec, starts, log, meter, clock } = deps;
  const { user, start, checkout } = of;
  const { notice, progress } = tell;
  const timed = async <Result extends Terminal | null>(begin: () => Promise<Result>): Promise<Result> => {
    const beganAtMs = clock.monotonicMs();
    try {
      const terminal = await begin();
      if (terminal) meter.started('terminal', clock.monotonicMs() - beganAtMs, 'ok');
      return terminal;
    } catch (error) {
      if (error instanceof EngineError) {
        meter.started('terminal', clock.monotonicMs() - beganAtMs, error.fault.kind);
      }
      throw error;
    }
  };
  try {
    if (of.resumes) {
      const terminal = await starts.run(user, () => timed(() => exec.resume(start, signal)), signal);
      if (terminal) return { terminal, isResumed: true };
      notice('session-lost', 'the shell of this terminal is no more; this is a new one');
    }
    if (checkout !== null) {
      const { containerId, session: mark, environment } = start;
      await prepareCheckout(deps, { user, start: { containerId, mark, environment }, checkout }, progress, signal);
    }
    const terminal = await starts.run(user, () => timed(() => exec.open(start, signal)), signal);
    return { terminal, isResumed: false };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    log.warn({ user, containerId: start.containerId, error }, 'no shell could be started; trying again');
    const gone = error.fault.kind === 'not-found' || error.fault.kind === 'conflict';
    const why = gone ? 'this box does not run any more' : `the shell could not be started (${error.fault.message})`;
    notice('start-again', `${why}; trying again`);
    return null;
  }
}

/** Before the next try: longer after each failure. */
export async function pauseAfter(
  deps: Pick<WaitDeps, 'clock' | 'limits'>,
  failures: number,
  signal: AbortSignal,
): Promise<void> {
  const { restartMinMs, restartMaxMs } = deps.limits;
  const delayMs = Math.min(restartMaxMs, restartMinMs * 2 ** Math.min(failures - 1, 10));
  await sleep(deps.clock, delayMs, signal);
}
