import { EventEmitter } from 'node:events';
import type { WebSocket } from 'ws';

/** A socket without a network: what `TerminalClient` uses of one, and the client's side of it. */
export class SimSocket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  binaryType = 'nodebuffer';
  closed: { code: number; reason: string } | null = null;
  /** bytes of the terminal that the client got */
  received = 0;
  readonly messages: string[] = [];

  send(data: Buffer | string, _options?: unknown, sent?: () => void): void {
    if (typeof data === 'string') this.messages.push(data);
    else this.received += data.length;
    sent?.();
  }

  /** Nobody answers it, and nothing here is a network that could be lost. */
  pong(): void {}

  ping(): void {
    queueMicrotask(() => this.emit('pong'));
  }

  pause(): void {}

  resume(): void {}

  close(code = 1005, reason = ''): void {
    if (this.readyState !== this.OPEN) return;
    this.readyState = 3;
    this.closed = { code, reason };
    queueMicrotask(() => this.emit('close', code, Buffer.from(reason)));
  }

  terminate(): void {
    this.close(1006, '');
  }

  /** The client types. */
  type(text: string): void {
    if (this.readyState === this.OPEN) this.emit('message', Buffer.from(text), true);
  }

  /** The part of a WebSocket that the gateway's client needs is exactly what stands here. */
  asWebSocket(): WebSocket {
    return this as unknown as WebSocket;
  }
}
