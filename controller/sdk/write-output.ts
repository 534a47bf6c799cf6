import type { Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { CommandLost, SpoonboxError } from './errors.ts';

export interface OutputStreams {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/**
 * Writes a command's output as it comes; while a stream takes no more, the socket is not read. Output that cannot be written
 * is a failure of the whole, for nobody would know what is missing.
 */
export function writeOutput(
  socket: WebSocket,
  streams: OutputStreams,
  fail: (error: Error) => void,
): { stdout(bytes: Buffer): void; stderr(bytes: Buffer): void; stop(): void } {
  const full = new Set<Writable>();
  const stops: (() => void)[] = [];
  let stopped = false;

  function taker(stream: Writable): (bytes: Buffer) => void {
    const onDrain = (): void => {
      full.delete(stream);
      if (full.size === 0) socket.resume();
    };
    const onError = (error: Error): void => {
      if (error instanceof SpoonboxError) fail(error);
      else fail(new CommandLost(`its output cannot be written (${error.message})`, 'StreamFailed', { cause: error }));
    };
    const onClose = (): void => onError(new Error('the stream was closed'));
    stream.on('drain', onDrain).on('error', onError).on('close', onClose);
    stops.push(() => stream.off('drain', onDrain).off('error', onError).off('close', onClose));
    // One that has ended already may never say so.
    if (!stream.writable) onClose();
    return (bytes) => {
      if (stopped || stream.write(bytes)) return;
      full.add(stream);
      socket.pause();
    };
  }

  return {
    stdout: taker(streams.stdout),
    stderr: taker(streams.stderr),
    stop() {
      stopped = true;
      for (const stop of stops) stop();
    },
  };
}
