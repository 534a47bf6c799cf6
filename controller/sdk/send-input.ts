import type { Readable } from 'node:stream';
import { WebSocket } from 'ws';
import { channel } from '#shared/exec-protocol.ts';
import { CommandLost } from './errors.ts';

/** A message to the gateway has no more than this: what it takes at once is bounded. */
const maxFrameBytes = 1024 * 1024;

/**
 * Sends a stream to a command, piece by piece as they are taken, and its end, which the command is told. What cannot be sent
 * any more is of no use: the command has ended. Answers how to stop, after which the stream is left paused where it is.
 */
export function sendInput(socket: WebSocket, stdin: Readable, fail: (error: Error) => void): () => void {
  let stopped = false;
  /** all that was read so far is sent; a stream tells its end also while it is paused */
  let sent = Promise.resolve();

  const onData = (chunk: Buffer | string): void => {
    stdin.pause();
    sent = sent.then(() => sendAll(socket, Buffer.from(chunk)));
    void sent.then(() => {
      if (!stopped) stdin.resume();
    });
  };
  const onEnd = (): void => {
    sent = sent.then(() => send(socket, channel.close, Buffer.of(channel.stdin)));
  };
  const onError = (error: Error): void => {
    fail(new CommandLost(`its input cannot be read on (${error.message})`, 'StreamFailed', { cause: error }));
  };
  const onClose = (): void => {
    if (!stdin.readableEnded) onError(new Error('the stream was closed'));
  };
  if (stdin.readableEnded) onEnd();
  else if (stdin.destroyed) onClose();
  else stdin.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose).resume();
  return () => {
    stopped = true;
    stdin.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose).pause();
  };
}

async function sendAll(socket: WebSocket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += maxFrameBytes) {
    await send(socket, channel.stdin, bytes.subarray(at, at + maxFrameBytes));
  }
}

function send(socket: WebSocket, to: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(Buffer.concat([Buffer.of(to), bytes]), () => resolve());
    else resolve();
  });
}
