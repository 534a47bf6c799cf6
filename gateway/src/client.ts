import type { Writable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Clock } from '#shared/clock.ts';
import {
  type ClientMessage,
  type CloseName,
  closeTable,
  type ServerMessage,
  type TerminalSize,
  terminalLimits,
} from '#shared/terminal-protocol.ts';
import { shortened } from './close-reason.ts';
import type { Dialect } from './dialect.ts';
import { ClientGone, Ending } from './ending.ts';
import { FlowControl } from './flow-control.ts';
import type { GatewayLimits } from './limits.ts';
import type { GatewayMeter } from './metrics/gateway-meter.ts';

/** What a client does once it is let in. */
export interface ClientEvents {
  input(bytes: Buffer): void;
  resize(size: TerminalSize): void;
  acked(bytes: number): void;
  /** it asks for the end of the session */
  end(): void;
  /** there may be room again: ask `isFull` */
  room(): void;
}

export interface ClientDeps {
  readonly clock: Clock;
  readonly limits: GatewayLimits;
  readonly meter?: GatewayMeter;
}

export type Hello = Extract<ClientMessage, { type: 'hello' }>;

/** What a frame with a header of two bytes has room for (RFC 6455, 5.2). */
const smallFrameBytes = 125;
/** A client that closes with this one does not come back; every other end may be a network's. */
const doneCode = 1000;

/**
 * One socket of a terminal.
 *
 * INVARIANTS
 * - What is typed before it is connected is kept, up to `typeAheadBytes`; then the socket is not read on.
 * - `gone` is aborted exactly once: by the socket's end (ClientGone) or by a breach of the protocol (Ending).
 * - While input is held, acks and pongs do not arrive; neither is then waited for. Pings at short intervals go on, because its end
 *   shows only by the kernel's refusal of what is written.
 */
export class TerminalClient {
  /** what the screen is now */
  size: TerminalSize;
  readonly #socket: WebSocket;
  readonly #wire: Writable | null;
  readonly #dialect: Dialect;
  readonly #deps: ClientDeps;
  readonly #flow: FlowControl;
  readonly #gone = new AbortController();
  #events: ClientEvents | null = null;
  #typedAhead: Buffer[] = [];
  #typedAheadBytes = 0;
  #inputHeld = false;
  #waitsForRoom = false;
  #heard = true;
  #cancelPing: () => void = () => {};
  #onHello: ((hello: Hello) => void) | null = null;

  /** `wire`: what `socket` writes its frames to; null = it is not to be had */
  constructor(socket: WebSocket, wire: Writable | null, dialect: Dialect, size: TerminalSize, deps: ClientDeps) {
    this.#socket = socket;
    this.#wire = wire;
    this.#dialect = dialect;
    this.#deps = deps;
    this.size = size;
    this.#flow = new FlowControl({
      ack: dialect.acks ? terminalLimits : null,
      buffered: { highBytes: deps.limits.bufferedHighBytes, lowBytes: deps.limits.bufferedLowBytes },
    });
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('pong', () => {
      this.#heard = true;
    });
    socket.on('error', () => {}); // a `close` follows, with the code that ws chose
    socket.on('close', (code) => this.#end(new ClientGone('the socket has closed', code === doneCode)));
    this.#pingLater();
  }

  /** whether it says how far it is, and what it has */
  get acks(): boolean {
    return this.#dialect.acks;
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** The first message of the protocol. Throws an Ending when it does not come in time. */
  hello(): Promise<Hello> {
    return new Promise((resolve, reject) => {
      const { clock, limits } = this.#deps;
      const cancel = clock.after(limits.helloWithinMs, () => this.#end(new Ending('hello-missing')));
      const onGone = (): void => {
        cancel();
        reject(this.gone.reason);
      };
      if (this.gone.aborted) onGone();
      this.gone.addEventListener('abort', onGone, { once: true });
      this.#onHello = (hello) => {
        cancel();
        this.gone.removeEventListener('abort', onGone);
        this.#onHello = null;
        this.size = { cols: hello.cols, rows: hello.rows };
        resolve(hello);
      };
    });
  }

  /** From now on what the client does is told, what it has typed until now first. */
  connect(events: ClientEvents): void {
    this.#events = events;
    const early = this.#typedAhead;
    this.#typedAhead = [];
    this.takeInput();
    for (const bytes of early) events.input(bytes);
  }

  /** It is not listened to any more. */
  ignore(): void {
    this.#events = null;
    this.takeInput();
  }

  send(bytes: Buffer): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#flow.sent(bytes.length);
    const sent = (): void => this.#mayHaveRoom();
    // ws makes two writes, a cork and an object of options of it: a tenth of a key's echo time.
    if (this.#wire !== null && bytes.length <= smallFrameBytes) this.#wire.write(smallFrame(bytes), sent);
    else this.#socket.send(bytes, { binary: true }, sent);
  }

  tell(message: ServerMessage): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const frame = this.#dialect.write(message);
    if (frame !== null) this.#socket.send(frame);
  }

  /** True: send no more, `room` will be called. */
  isFull(): boolean {
    this.#waitsForRoom = this.#flow.isFull(this.#socket.bufferedAmount, !this.#inputHeld);
    return this.#waitsForRoom;
  }

  /** Stops reading the socket, so that the sender has to wait. */
  holdInput(): void {
    if (this.#inputHeld) return;
    this.#inputHeld = true;
    this.#socket.pause();
    this.#pingLater();
    this.#mayHaveRoom();
  }

  takeInput(): void {
    if (!this.#inputHeld) return;
    this.#inputHeld = false;
    this.#heard = true;
    this.#socket.resume();
  }

  /** Closes after everything that was sent before; ws cuts the connection when the client takes too long. */
  close(name: CloseName, message: string): void {
    this.takeInput();
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.close(closeTable[name].code, shortened(message));
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.#heard = true;
    if (this.gone.aborted || !Buffer.isBuffer(data)) return;
    if (isBinary) {
      this.#input(data);
      return;
    }
    const frame = this.#dialect.read(data.toString());
    if (frame.is === 'input') this.#input(frame.bytes);
    else if (frame.is === 'message') this.#obey(frame.message);
    else this.#breach(frame.why);
  }

  #obey(message: ClientMessage): void {
    if (this.#onHello !== null && message.type !== 'hello') {
      this.#breach(`the first message is hello, not ${message.type}`);
      return;
    }
    switch (message.type) {
      case 'hello':
        if (this.#onHello) this.#onHello(message);
        else this.#breach('a second hello');
        return;
      case 'resize':
        if (message.cols === this.size.cols && message.rows === this.size.rows) return;
        this.size = { cols: message.cols, rows: message.rows };
        this.#events?.resize(this.size);
        return;
      case 'ack':
        if (!this.#flow.ack(message.bytes)) {
          this.#breach(`ack of ${message.bytes} bytes, which is more than was sent`);
          return;
        }
        this.#events?.acked(message.bytes);
        this.#mayHaveRoom();
        return;
      case 'end':
        this.#events?.end();
        return;
      case 'ping':
        this.#pong(message.id === undefined ? { type: 'pong' } : { type: 'pong', id: message.id });
    }
  }

  /** One that takes nothing would have its pongs pile up here. */
  #pong(message: ServerMessage): void {
    if (this.#socket.bufferedAmount <= this.#deps.limits.bufferedHighBytes) this.tell(message);
  }

  #input(bytes: Buffer): void {
    if (this.#onHello !== null) {
      this.#breach('input before hello');
      return;
    }
    if (this.#events) {
      this.#events.input(bytes);
    } else if (!this.gone.aborted) {
      this.#typedAhead.push(bytes);
      this.#typedAheadBytes += bytes.length;
      if (this.#typedAheadBytes > this.#deps.limits.typeAheadBytes) this.holdInput();
    }
  }

  #breach(why: string): void {
    this.#end(new Ending('bad-message', { message: why }));
  }

  #end(reason: Ending | ClientGone): void {
    if (reason instanceof ClientGone) this.#cancelPing();
    if (!this.gone.aborted) this.#gone.abort(reason);
  }

  #mayHaveRoom(): void {
    if (this.#waitsForRoom && !this.isFull()) this.#events?.room();
  }

  /** A socket that was silent for a whole round is dead: proxies and lost networks tell nobody. */
  #pingLater(): void {
    const { pingEveryMs, heldPingEveryMs } = this.#deps.limits;
    this.#cancelPing();
    if (this.#socket.readyState === this.#socket.CLOSED) return;
    this.#cancelPing = this.#deps.clock.after(this.#inputHeld ? heldPingEveryMs : pingEveryMs, () => {
      if (!this.#heard && !this.#inputHeld) {
        this.#deps.meter?.dropped('silent');
        this.#socket.terminate();
        return;
      }
      this.#heard = false;
      // Where something waits to be written, that finds out as well.
      const isIdle = !this.#inputHeld || this.#socket.bufferedAmount === 0;
      if (isIdle && this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
      // It may ask for a sign of life, and is not read.
      if (isIdle && this.#inputHeld) this.#pong({ type: 'pong' });
      this.#pingLater();
    });
  }
}

/** A whole binary message. */
function smallFrame(bytes: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(2 + bytes.length);
  frame[0] = 0x82;
  frame[1] = bytes.length;
  bytes.copy(frame, 2);
  return frame;
}
