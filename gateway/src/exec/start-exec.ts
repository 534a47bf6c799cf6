import type { Duplex } from 'node:stream';
import type Docker from 'docker-modem';
import { z } from 'zod';
import { askEngine, engineCall, engineErrorOf } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import { openExecStream } from './exec-stream.ts';
import { callTimeoutMs } from './limits.ts';

/** Body of the engine's call that makes an exec: what of it is used. */
export interface ExecOptions {
  readonly Cmd: readonly string[];
  readonly Env?: readonly string[];
  readonly AttachStdin?: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly Tty?: boolean;
  readonly DetachKeys?: string;
  /** rows, columns */
  readonly ConsoleSize?: readonly [number, number];
}

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
  const make = (limit: AbortSignal): Promise<string> => createExec(docker, containerId, create, limit);
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

/** Its id. */
export async function createExec(
  docker: Docker,
  containerId: string,
  body: ExecOptions,
  signal: AbortSignal,
): Promise<string> {
  const request = { method: 'POST', path: `/containers/${containerId}/exec`, body } as const;
  return CreatedExec.parse(await askEngine(docker, request, 'answer', signal)).Id;
}

const CreatedExec = z.object({ Id: z.string() });
