import { type Checkout, pathOf } from '#shared/checkout.ts';
import type { Clock } from '#shared/clock.ts';
import { channel } from '#shared/exec-protocol.ts';
import { EngineError } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { Ending } from '../ending.ts';
import { OutputFrames } from '../exec/command-output.ts';
import type { BoxCommands, RunningCommand, StartCommand } from '../exec/command-port.ts';
import type { StartQueue } from '../exec/start-queue.ts';
import { untilEnded } from '../jobs/until-ended.ts';
import type { GatewayLimits } from '../limits.ts';
import { CloneProgress } from './progress.ts';
import { checkoutCommand, refusedCode } from './script.ts';

/** A refusal is one sentence. */
const maxRefusalBytes = 2_048;

export interface CheckoutDeps {
  /** null: this gateway runs no commands */
  readonly commands: BoxCommands | null;
  readonly starts: StartQueue;
  readonly clock: Clock;
  readonly limits: Pick<GatewayLimits, 'autopsyMs' | 'checkoutWithinMs'>;
  readonly log: Logger;
}

export interface CheckoutOf {
  readonly user: UserName;
  /** of what starts in it afterwards */
  readonly start: Omit<StartCommand, 'command' | 'stdin' | 'directory'>;
  readonly checkout: Checkout;
}

/**
 * Makes a checkout in a box, before anything starts in it. `tell` gets what git says meanwhile. Throws an Ending where it cannot be
 * used, an EngineError as `BoxCommands` does (`not-found` also where the box ends meanwhile), and the signal's reason: then what
 * was begun is ended, and nothing half is left in its place.
 */
export async function prepareCheckout(
  deps: CheckoutDeps,
  of: CheckoutOf,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { commands, starts, log, clock, limits } = deps;
  const { user, checkout } = of;
  if (commands === null) throw failed(checkout, 'this gateway runs no commands');
  const tooLong = new AbortController();
  const stop = AbortSignal.any([signal, tooLong.signal]);
  const cancelTooLong = clock.after(limits.checkoutWithinMs, () => {
    tooLong.abort(failed(checkout, `it was not there after ${Math.ceil(limits.checkoutWithinMs / 1_000)} s`));
  });
  const start = { ...of.start, command: checkoutCommand(checkout), stdin: false, directory: null };
  let command: RunningCommand | null = null;
  try {
    command = await starts.run(user, () => commands.start(start, stop), stop);
    const said = await read(command, new CloneProgress(clock, tell), stop);
    await untilEnded(deps, command, stop);
    const { exitCode, boxRuns } = await command.state();
    if (!boxRuns || exitCode === null) throw boxGone();
    command = null;
    if (exitCode === 0) return;
    log.info({ user, checkout: pathOf(checkout), exitCode }, 'a checkout cannot be used');
    throw failed(checkout, exitCode === refusedCode ? said.refusal : said.lastWords || `exit code ${exitCode}`);
  } finally {
    cancelTooLong();
    await command?.end().catch((error: unknown) => {
      log.error({ user, mark: start.mark, error }, 'the processes that make a checkout may be left in the box');
    });
  }
}

/** Until the output has ended. */
async function read(
  { stream }: RunningCommand,
  progress: CloneProgress,
  signal: AbortSignal,
): Promise<{ refusal: string; lastWords: string }> {
  const frames = new OutputFrames();
  const refusal: Buffer[] = [];
  let length = 0;
  await new Promise<void>((resolve, reject) => {
    const settle = (): void => {
      signal.removeEventListener('abort', settle);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    signal.addEventListener('abort', settle, { once: true });
    stream.on('error', () => {}); // a `close` follows
    stream.once('end', settle).once('close', settle);
    stream.on('data', (chunk: Buffer) => {
      for (const frame of frames.take(chunk)) {
        const bytes = frame.subarray(1);
        if (frame[0] === channel.stderr) progress.take(bytes);
        else if (length < maxRefusalBytes) {
          refusal.push(bytes);
          length += bytes.length;
        }
      }
    });
    if (signal.aborted || stream.destroyed) settle();
  });
  return { refusal: Buffer.concat(refusal).toString(), lastWords: progress.lastWords() };
}

function failed(checkout: Checkout, why: string): Ending {
  const message = `the checkout ${pathOf(checkout)} cannot be used: ${why}`;
  return new Ending('checkout-failed', { message });
}

function boxGone(): EngineError {
  const message = 'the box ended while its checkout was made';
  return new EngineError({ operation: 'exec', kind: 'not-found', status: null, message });
}
