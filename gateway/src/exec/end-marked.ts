import type Docker from 'docker-modem';
import { EngineError } from '#shared/faults.ts';
import { endCommand } from '#shared/session-marks.ts';
import type { Leftovers } from './leftovers.ts';
import { runScript } from './run-script.ts';

/** Between HUP and KILL for those that outlived it, and for all of it. */
const killGraceMs = 3_000;
const endWithinMs = 10_000;

const never = new AbortController().signal;

interface Marked {
  readonly containerId: string;
  readonly session: string;
  readonly spareDaemons: boolean;
}

/**
 * Ends every process in a container that carries a session's mark (with `spareDaemons`, but those that were made to outlive
 * their terminal) by a second exec: HUP and CONT, KILL after a grace. For what outlived the hang-up, and for an exec whose start
 * was cut off. A container that is gone is success; rejects with an EngineError where some are left, or that cannot be told.
 */
export async function endMarked(docker: Docker, { containerId, session, spareDaemons }: Marked): Promise<void> {
  const command = endCommand(session, killGraceMs, spareDaemons);
  try {
    const exitCode = await runScript(docker, { containerId, command, withinMs: endWithinMs }, never);
    if (exitCode === 0) return;
    const message = `processes of session ${session} outlived hang-up and kill (exit code ${exitCode})`;
    throw new EngineError({ operation: 'hang-up', kind: 'failed', status: null, message });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** The same now or, where the engine cannot be reached, as soon as it can. */
export function endNowOrLater(
  { docker, leftovers }: { docker: Docker; leftovers: Leftovers },
  marked: Marked,
): Promise<void> {
  const { containerId, session } = marked;
  return leftovers.end({ containerId, session }, () => endMarked(docker, marked));
}

/** What there is nothing left to end in: the container, or the exec, does not run any more. */
export function isGone(error: unknown): boolean {
  return error instanceof EngineError && (error.fault.kind === 'not-found' || error.fault.kind === 'conflict');
}
