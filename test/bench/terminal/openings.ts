import { WebSocket } from 'ws';
import { z } from 'zod';
import { terminalLimits, terminalProtocol } from '#shared/terminal-protocol.ts';
import type { RawDocker } from '../support/raw-docker.ts';
import { Wire, type WireEnd } from './wire.ts';

/** The three ways to a shell that are compared: the engine's own stream, a bare relay, and a gateway of ours. */

const size = { cols: 80, rows: 24 };
/** Marks the shells that nobody else ends. */
export const benchMark = 'SPOONBOX_BENCH';

export function openRaw(docker: RawDocker, containerId: string): Wire {
  return new Wire(async (wire) => {
    const environment = ['TERM=xterm-256color', `${benchMark}=raw`];
    const stream = await docker.openTerminal(containerId, ['/bin/bash', '--login'], environment);
    stream.on('data', (chunk: Buffer) => wire.feed(chunk));
    stream.on('error', () => {}); // a close follows
    stream.on('close', () => wire.hasEnded());
    const drop = (): void => void stream.destroy();
    return {
      send: (text) => void stream.write(text),
      hold: (isHeld) => void (isHeld ? stream.pause() : stream.resume()),
      drop,
      close: drop,
    };
  });
}

export function openRelay(port: number, containerId: string): Wire {
  return new Wire((wire) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${containerId}`, { perMessageDeflate: false });
    const end: WireEnd = {
      send: (text) => socket.send(Buffer.from(text)),
      hold: (isHeld) => (isHeld ? socket.pause() : socket.resume()),
      drop: () => socket.terminate(),
      close: () => socket.close(1000),
    };
    // What is typed before the exec is there would be lost: it is ready with its first byte.
    return new Promise((resolve, reject) => {
      socket.on('message', (data: Buffer) => {
        resolve(end);
        wire.feed(data);
      });
      socket.on('error', reject);
      socket.on('close', () => {
        wire.hasEnded();
        reject(new Error('the relay has closed'));
      });
    });
  });
}

/** Why a gateway of ours did not let a terminal in. */
export class RefusedTerminal extends Error {
  override name = 'RefusedTerminal';
  /** of the HTTP answer or of the close */
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Speaks `spoonbox.v1` as a browser's client does, and no more of it than a benchmark needs. The signal drops it at any time. */
export function openGateway(port: number, token: string, signal?: AbortSignal): Wire {
  return new Wire((wire) => {
    const url = `ws://127.0.0.1:${port}/v1/terminal?cols=${size.cols}&rows=${size.rows}`;
    const socket = new WebSocket(url, [terminalProtocol, `token.${token}`], { perMessageDeflate: false });
    let unackedBytes = 0;
    const end: WireEnd = {
      send: (text) => socket.send(Buffer.from(text)),
      parsed(bytes) {
        unackedBytes += bytes;
        if (unackedBytes < terminalLimits.ackEveryBytes || socket.readyState !== WebSocket.OPEN) return;
        socket.send(`{"type":"ack","bytes":${unackedBytes}}`);
        unackedBytes = 0;
      },
      stall: () => socket.pause(),
      drop: () => socket.terminate(),
      close: () => socket.close(1000),
    };
    const drop = (): void => socket.terminate();
    signal?.addEventListener('abort', drop);
    return new Promise((resolve, reject) => {
      let why = 'it said nothing';
      socket.on('open', () => socket.send(JSON.stringify({ type: 'hello', ...size })));
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) return wire.feed(data);
        const message = Told.parse(JSON.parse(data.toString()));
        if (message.type === 'hello') resolve(end);
        if (message.type === 'error' || message.type === 'exit') why = JSON.stringify(message);
      });
      socket.on('unexpected-response', (request, { statusCode = 0 }) => {
        reject(new RefusedTerminal(statusCode, `the gateway has refused with ${statusCode}`));
        request.destroy();
        wire.hasEnded();
      });
      socket.on('error', reject);
      if (signal?.aborted) drop();
      socket.on('close', (code) => {
        wire.hasEnded();
        reject(new RefusedTerminal(code, `the gateway has closed with ${code}: ${why}`));
      });
    });
  });
}

const Told = z.looseObject({ type: z.string() });
