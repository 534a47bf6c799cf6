import type { TerminalClient } from './client.ts';
import { ClientGone, Ending } from './ending.ts';

/** A shell that says "not found" or "not executable" this soon was never there. */
const notStartedWithinMs = 2_000;

/** How a shell's own end is told. */
export function exitOf(code: number, livedMs: number): Ending {
  const never = (code === 126 || code === 127) && livedMs < notStartedWithinMs;
  const message = never
    ? `nothing could be started in the box (exit code ${code}); the output says why`
    : `the shell has ended with exit code ${code}`;
  return new Ending('ended', { message, exit: { code, reason: never ? 'not-started' : 'exited' } });
}

/** The last words to a client. `goesOn`: the session does without this gateway, so it is no exit. */
export function sayGoodbye(client: TerminalClient, ending: Ending, goesOn = false): void {
  const { message, address } = ending;
  if (ending.exit && !goesOn) client.tell({ type: 'exit', ...ending.exit, message });
  else client.tell({ type: 'error', code: ending.errorCode, message, ...(address === undefined ? {} : { address }) });
  client.close(ending.close, message);
}

/** What ends a session; a defect of ours is its `cause`. */
export function endingOf(error: unknown): Ending | ClientGone {
  if (error instanceof Ending || error instanceof ClientGone) return error;
  const ending = new Ending('internal');
  ending.cause = error;
  return ending;
}
