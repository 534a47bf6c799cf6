import type { Clock } from '#shared/clock.ts';
import { engineCall } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import { endCommand, marksCommand } from '#shared/session-marks.ts';
import { SessionId } from '#shared/terminal-claims.ts';
import type { Engine } from './engine.ts';
import { runToEnd } from './exec.ts';
import { createFrameReader, createOutputTail } from './output.ts';

const lookWithinMs = 10_000;
/** Between HUP and KILL; and for all of it. */
const killGraceMs = 3_000;
const endWithinMs = 15_000;
/** What a box answers is its user's: of more than this the rest is not read. */
const maxMarkBytes = 64 * 1024;

/** See the port. */
export async function sessionMarks(engine: Engine, clock: Clock, id: string, signal: AbortSignal): Promise<string[]> {
  const operation = 'sessionMarks';
  const tail = createOutputTail();
  const parts: Buffer[] = [];
  let bytes = 0;
  const read = createFrameReader((part, isError) => {
    if (isError || bytes >= maxMarkBytes) return;
    parts.push(part);
    bytes += part.length;
  });
  const onOutput = (chunk: Buffer): void => {
    tail.push(chunk);
    read(chunk);
  };
  const run = (limit: AbortSignal): Promise<number> =>
    runToEnd({ engine, clock, operation, id, command: marksCommand, onOutput }, limit);
  const exitCode = await engineCall(operation, lookWithinMs, run, signal);
  if (exitCode !== 0) {
    const message = `the look for sessions ended with exit code ${exitCode}: ${tail.lastLine()}`;
    throw new EngineError({ operation, kind: 'failed', status: null, message });
  }
  const lines = Buffer.concat(parts).toString('utf8').split('\n');
  // What is no session id was put there by the user.
  return [...new Set(lines.filter((line) => SessionId.safeParse(line).success))];
}

/** See the port. */
export async function endSession(
  engine: Engine,
  clock: Clock,
  { id, session }: { id: string; session: string },
  signal: AbortSignal,
): Promise<void> {
  const operation = 'endSession';
  const output = createOutputTail();
  const command = endCommand(session, killGraceMs, true);
  const run = (limit: AbortSignal): Promise<number> =>
    runToEnd({ engine, clock, operation, id, command, onOutput: output.push }, limit);
  try {
    const exitCode = await engineCall(operation, endWithinMs, run, signal);
    if (exitCode === 0) return;
    const message = `processes of session ${session} outlived hang-up and kill (exit code ${exitCode}) ${output.lastLine()}`;
    throw new EngineError({ operation, kind: 'failed', status: null, message: message.trim() });
  } catch (error) {
    // Nothing runs where the container is gone, or stands still.
    const kind = error instanceof EngineError ? error.fault.kind : null;
    if (kind !== 'not-found' && kind !== 'conflict') throw error;
  }
}
