import { finished } from 'node:stream/promises';
import type Docker from 'dockerode';
import { engineCall } from '#shared/docker.ts';
import { openExecStream } from './exec-stream.ts';

/** Runs a short command in a container to its end, without a terminal; its exit code. Rejects with an EngineError, or the signal's reason. */
export function runScript(
  docker: Docker,
  of: { containerId: string; command: string[]; withinMs: number },
  signal: AbortSignal,
): Promise<number | null> {
  const run = async (abortSignal: AbortSignal): Promise<number | null> => {
    const container = docker.getContainer(of.containerId);
    const exec = await container.exec({ Cmd: of.command, AttachStdout: true, AttachStderr: true, abortSignal });
    const output = await openExecStream(docker, exec.id, { Detach: false, Tty: false }, abortSignal);
    output.resume();
    await finished(output, { writable: false, signal: abortSignal }).finally(() => output.destroy());
    return (await exec.inspect({ abortSignal })).ExitCode;
  };
  return engineCall('exec', of.withinMs, run, signal);
}
