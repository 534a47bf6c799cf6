import type { Clock } from '#shared/clock.ts';
import { channel } from '#shared/exec-protocol.ts';
import type { Logger } from '#shared/log.ts';
import { OutputFrames } from '../exec/command-output.ts';
import type { RunningCommand } from '../exec/command-port.ts';
import type { GatewayLimits } from '../limits.ts';
import type { JobSocket } from './job-socket.ts';

/**
 * Bytes both ways between a client and its command, until the command's output has ended and all of it was handed to the
 * socket, or `signal` is aborted (then it rejects with the signal's reason).
 *
 * INVARIANTS
 * - The command's output is paused only while the client is full, and never again once the command has ended: the engine
 *   throws away what is not taken within 2 s after that. A client that has `endedOutputBytes` waiting by then is cut: what the
 *   command has left behind may write for ever.
 * - The client's input waits while the command does not read it.
 */
export function relay(
  deps: { readonly clock: Clock; readonly limits: GatewayLimits; readonly log: Logger },
  between: {
    command: RunningCommand;
    socket: Pick<JobSocket, 'send' | 'isFull' | 'waitingBytes' | 'onRoom' | 'input' | 'cut'>;
    stdout: boolean;
    stderr: boolean;
  },
  signal: AbortSignal,
): Promise<void> {
  const { command, socket } = between;
  const { stream } = command;
  const frames = new OutputFrames();
  let ending = false;
  let cancelCheck: () => void = () => {};

  /** A paused stream does not tell that it ends, so the command is asked. */
  function checkLater(): void {
    cancelCheck = deps.clock.after(deps.limits.pausedCheckMs, () => {
      if (!stream.isPaused()) return;
      command.state().then(
        ({ running }) => {
          if (!stream.isPaused()) return;
          ending = !running;
          if (ending) stream.resume();
          else checkLater();
        },
        (error: unknown) => {
          deps.log.debug({ error }, 'a paused command cannot be looked at; trying again');
          if (stream.isPaused()) checkLater();
        },
      );
    });
  }

  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      for (const frame of frames.take(chunk)) {
        if (frame[0] === channel.stderr ? between.stderr : between.stdout) socket.send(frame);
      }
      if (ending && socket.waitingBytes > deps.limits.endedOutputBytes) {
        deps.log.info(
          { waitingBytes: socket.waitingBytes },
          'the client of a command that has ended is too slow; it is cut',
        );
        socket.cut();
      }
      if (ending || stream.isPaused() || !socket.isFull()) return;
      stream.pause();
      cancelCheck();
      checkLater();
    };
    const settle = (): void => {
      signal.removeEventListener('abort', settle);
      cancelCheck();
      stream.off('data', onData).off('end', settle).off('close', settle);
      socket.onRoom = () => {};
      socket.input.unpipe(stream).resume(); // what is left of it has nowhere to go, and must not hide the client's end
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    // Stays: an error may come after the end, and a close follows it.
    stream.on('error', (error: Error) => deps.log.debug({ error }, 'the stream of a command broke'));
    stream.once('end', settle).once('close', settle);
    signal.addEventListener('abort', settle, { once: true });
    if (signal.aborted || stream.destroyed) {
      settle();
      return;
    }
    socket.onRoom = () => stream.resume();
    stream.on('data', onData);
    socket.input.pipe(stream); // and its end, which ends the command's input
  });
}
