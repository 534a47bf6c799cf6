import { StartError } from './faults.ts';
import type { Logger } from './log.ts';

/** Ends the process when what `signal` began has not ended `drainMs` later. */
export function boundDrain(signal: AbortSignal, drainMs: number, log: Logger): void {
  const end = (): void => {
    setTimeout(() => {
      log.error({ drainMs }, 'the drain took too long and is cut off');
      process.exit(1);
    }, drainMs).unref();
  };
  signal.addEventListener('abort', end, { once: true });
}

/**
 * Runs a process until SIGTERM or SIGINT aborts `signal`, and ends it with the right code: 0 after a drain, a StartError's
 * own code with its message as one line, 1 with a stack for anything else. A second signal ends at once.
 */
export async function runProcess(name: string, run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const ending = new AbortController();
  const onSignal = (signalName: NodeJS.Signals): void => {
    if (ending.signal.aborted) {
      process.stderr.write(`spoonbox ${name}: ${signalName} again, ending at once\n`);
      process.exit(130);
    }
    ending.abort(new Error(`${signalName} received`));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  try {
    await run(ending.signal);
  } catch (error) {
    if (!(ending.signal.aborted && error === ending.signal.reason)) {
      const text = error instanceof StartError ? error.message : error instanceof Error ? error.stack : String(error);
      process.stderr.write(`spoonbox ${name}: ${text}\n`);
      process.exit(error instanceof StartError ? error.exitCode : 1);
    }
  }
  process.exit(0);
}
