import { finished } from 'node:stream/promises';
import type Docker from 'docker-modem';
import { z } from 'zod';
import { channel } from '#shared/exec-protocol.ts';
import { askEngine, engineCall } from '#shared/docker.ts';
import { OutputFrames } from './command-output.ts';
import { createExec, openExecStream } from './exec-calls.ts';

interface Script {
  readonly containerId: string;
  readonly command: string[];
  readonly withinMs: number;
}

/** Runs a short command in a container to its end, without a terminal; its exit code. Rejects with an EngineError, or the signal's reason. */
export function runScript(docker: Docker, of: Script, signal: AbortSignal): Promise<number | null> {
  return run(docker, of, () => {}, signal);
}

/** The same; what it prints. Also rejects where that is more than `bytesMost`, or its exit code is not 0. */
export async function readScript(
  docker: Docker,
  of: Script & { readonly bytesMost: number },
  signal: AbortSignal,
): Promise<Buffer> {
  const frames = new OutputFrames();
  const printed: Buffer[] = [];
  let length = 0;
  const take = (chunk: Buffer): void => {
    for (const frame of frames.take(chunk)) {
      if (frame[0] !== channel.stdout) continue;
      printed.push(frame.subarray(1));
      length += frame.length - 1;
    }
    if (length > of.bytesMost) throw new Error(`${of.command[0]} in a box prints more than ${of.bytesMost} bytes`);
  };
  const exitCode = await run(docker, of, take, signal);
  if (exitCode !== 0) throw new Error(`${of.command[0]} in a box ended with exit code ${exitCode}`);
  return Buffer.concat(printed);
}

function run(docker: Docker, of: Script, take: (chunk: Buffer) => void, signal: AbortSignal): Promise<number | null> {
  const call = async (abortSignal: AbortSignal): Promise<number | null> => {
    const create = { Cmd: of.command, AttachStdout: true, AttachStderr: true };
    const execId = await createExec(docker, of.containerId, create, abortSignal);
    const output = await openExecStream(docker, execId, { Detach: false, Tty: false }, abortSignal);
    output.on('data', (chunk: Buffer) => {
      try {
        take(chunk);
      } catch (error) {
        output.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    await finished(output, { writable: false, signal: abortSignal }).finally(() => output.destroy());
    const look = { method: 'GET', path: `/exec/${execId}/json` } as const;
    return EndedExec.parse(await askEngine(docker, look, 'answer', abortSignal)).ExitCode;
  };
  return engineCall('exec', of.withinMs, call, signal);
}

const EndedExec = z.object({ ExitCode: z.number().nullable() });
