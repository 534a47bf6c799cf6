import { finished } from 'node:stream/promises';
import type Docker from 'dockerode';
import { engineCall } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import { openExecStream } from './exec-stream.ts';
import { endCommand } from './scripts.ts';

const callTimeoutMs = 10_000;
/** Between HUP and KILL for those that outlived it, and for all of it. */
const killGraceMs = 3_000;
const endWithinMs = 10_000;

/**
 * Ends every process (with `spareDaemons`, but those that ignore HUP) in a container that carries a session's mark, by a second exec: HUP and CONT, KILL after a grace. For
 * what outlived the hang-up, and for an exec whose start was cut off. A container that is gone is success; rejects with an
 * EngineError where some are left, or that cannot be told.
 */
export async function endMarked(
  docker: Docker,
  { containerId, session, spareDaemons }: { containerId: string; session: string; spareDaemons: boolean },
): Promise<void> {
  const limit = AbortSignal.timeout(endWithinMs);
  try {
    const exec = await engineCall(
      'exec-create',
      callTimeoutMs,
      (abortSignal) =>
        docker.getContainer(containerId).exec({
          Cmd: endCommand(session, killGraceMs, spareDaemons),
          AttachStdout: true,
          AttachStderr: true,
          abortSignal,
        }),
      limit,
    );
    const output = await openExecStream(docker, exec.id, { Detach: false, Tty: false }, limit);
    output.resume();
    await finished(output, { writable: false, signal: limit }).finally(() => output.destroy());
    const { ExitCode } = await engineCall(
      'exec-inspect',
      callTimeoutMs,
      (abortSignal) => exec.inspect({ abortSignal }),
      limit,
    );
    if (ExitCode === 0) return;
    const message = `processes of session ${session} outlived hang-up and kill (exit code ${ExitCode})`;
    throw new EngineError({ operation: 'hang-up', kind: 'failed', status: null, message });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** What there is nothing left to end in: the container, or the exec, does not run any more. */
export function isGone(error: unknown): boolean {
  return error instanceof EngineError && (error.fault.kind === 'not-found' || error.fault.kind === 'conflict');
}
