import type { Duplex } from 'node:stream';
import type Docker from 'docker-modem';
import { engineCall, engineErrorOf } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import { createExec, type ExecOptions, openExecStream } from './exec-calls.ts';
import { callTimeoutMs } from './limits.ts';

export interface ExecStart {
  readonly containerId: string;
  readonly create: ExecOptions;
  /** body of the start */
  readonly start: Readonly<Record<string, unknown>>;
  /** ends whatever a start that broke off without an answer may have started */
  readonly endStarted: () => Promise<void>;
}

/** Makes an exec and starts it. The start is never given up half-way, because its process would be left behind: it has a time limit. */
export async function startExec(
  docker: Docker,
  log: Logger,
  { containerId, create, start, endStarted }: ExecStart,
  signal: AbortSignal,
): Promise<{ execId: string; stream: Duplex }> {
  const make = (within: AbortSignal): Promise<string> => createExec(docker, containerId, create, within);
  const execId = await engineCall('exec-create', callTimeoutMs, make, signal);
  try {
    return { execId, stream: await openExecStream(docker, execId, start, AbortSignal.timeout(callTimeoutMs)) };
  } catch (error) {
    const refused = error instanceof EngineError && error.fault.status !== null;
    if (!refused) {
      await endStarted().catch((failure: unknown) => {
        log.error(
          { containerId, execId, error: failure },
          'a start broke off and what it may have started is not ended',
        );
      });
    }
    throw engineErrorOf('exec-start', error);
  }
}
