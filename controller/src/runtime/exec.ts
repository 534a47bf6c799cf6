import { z } from 'zod';
import type { BoxClass } from '#shared/box-class.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import { engineCall } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import { InspectedContainer } from './container-view.ts';
import type { Engine } from './engine.ts';
import { createFrameReader, createOutputTail } from './output.ts';

/** Between two looks at a command that has closed its output and goes on. */
const endPollMs = 50;
/** Of what a tool prints, so much is kept: its version is at the beginning. */
const toolOutputBytes = 4_096;
export const CreatedExec = z.object({ Id: z.string() });
const InspectedExec = z.object({ Running: z.boolean(), ExitCode: z.number().nullish() });

/** Runs the readiness command to its end. An engine has no call that ends an exec: after a timeout it goes on in the box. */
export async function probe(
  engine: Engine,
  clock: Clock,
  id: string,
  readiness: BoxClass['readiness'],
  signal: AbortSignal,
): Promise<void> {
  const operation = 'probe';
  const output = createOutputTail();
  const run = (limit: AbortSignal): Promise<number> =>
    runToEnd({ engine, clock, operation, id, command: readiness.command, onOutput: output.push }, limit);
  const exitCode = await engineCall(operation, readiness.timeout, run, signal);
  if (exitCode === 0) return;
  const words = output.lastLine();
  const message = `the readiness command ended with exit code ${exitCode}${words === '' ? '' : `: ${words}`}`;
  throw new EngineError({ operation, kind: 'failed', status: null, message });
}

/** Runs a command that tells of itself, as `codex --version` does. After a timeout it goes on in the box, as a probe does. */
export async function runTool(
  engine: Engine,
  clock: Clock,
  id: string,
  { command, timeoutMs }: { readonly command: readonly string[]; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<{ exitCode: number; output: string }> {
  const operation = 'runTool';
  let output = Buffer.alloc(0);
  const onOutput = createFrameReader((bytes) => {
    output = Buffer.concat([output, bytes]).subarray(0, toolOutputBytes);
  });
  const run = (limit: AbortSignal): Promise<number> =>
    runToEnd({ engine, clock, operation, id, command, onOutput }, limit);
  const exitCode = await engineCall(operation, timeoutMs, run, signal);
  return { exitCode, output: output.toString('utf8') };
}

/** Answers the exit code; all output was passed on before. */
export async function runToEnd(
  of: {
    readonly engine: Engine;
    readonly clock: Clock;
    readonly operation: string;
    readonly id: string;
    readonly command: readonly string[];
    readonly onOutput: (chunk: Buffer) => void;
  },
  limit: AbortSignal,
): Promise<number> {
  const { engine, clock, operation, id, command, onOutput } = of;
  const { changeMs } = engine.timeouts;
  const body = { Cmd: command, AttachStdout: true, AttachStderr: true, Tty: false };
  const creation = { method: 'POST', path: `/containers/${id}/exec`, body } as const;
  const exec = await engine.ask(operation, creation, CreatedExec, changeMs, limit);
  const start = { method: 'POST', path: `/exec/${exec.Id}/start`, body: { Detach: false, Tty: false } } as const;
  const stream = await engine.open(operation, start, changeMs, limit);
  for await (const chunk of stream) onOutput(Buffer.from(chunk));
  return await endOf({ engine, clock, operation, execId: exec.Id }, limit);
}

/** The exit code of an exec that has closed its output. */
export async function endOf(
  of: { readonly engine: Engine; readonly clock: Clock; readonly operation: string; readonly execId: string },
  limit: AbortSignal,
): Promise<number> {
  const { engine, clock, operation, execId } = of;
  const { readMs } = engine.timeouts;
  const look = { method: 'GET', path: `/exec/${execId}/json` } as const;
  for (;;) {
    const { Running, ExitCode } = await engine.ask(operation, look, InspectedExec, readMs, limit);
    if (!Running && typeof ExitCode === 'number') return ExitCode;
    await sleep(clock, endPollMs, limit);
  }
}

/** An exec that ends between the two looks is one that does not run. */
export async function countExecs(engine: Engine, id: string, signal: AbortSignal): Promise<number> {
  const operation = 'countExecs';
  const { readMs } = engine.timeouts;
  const inspection = { method: 'GET', path: `/containers/${id}/json` } as const;
  const { ExecIDs } = await engine.ask(operation, inspection, InspectedContainer, readMs, signal);
  let running = 0;
  for (const execId of ExecIDs ?? []) {
    try {
      const look = { method: 'GET', path: `/exec/${execId}/json` } as const;
      const exec = await engine.ask(operation, look, InspectedExec, readMs, signal);
      if (exec.Running) running += 1;
    } catch (error) {
      if (!(error instanceof EngineError) || error.fault.kind !== 'not-found') throw error;
    }
  }
  return running;
}
