import { PassThrough } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Clock } from '#shared/clock.ts';
import { channel, type ExecProtocol, type ExecStatus } from '#shared/exec-protocol.ts';
import { ClientGone, Ending } from '../ending.ts';
import type { GatewayLimits } from '../limits.ts';

/**
 * The socket of one command.
 *
 * INVARIANTS
 * - While `input` takes no more, the socket is not read, so that its sender has to wait.
 * - `gone` is aborted once: by the socket's end (ClientGone) or by a breach of the protocol (Ending).
 * - A client that is silent for a whole round is dead, unless it may still be busy with what it was sent, or is not listened
 *   to. The end of one that is not listened to shows by the kernel's refusal of what is written: hence pings at short intervals.
 */
export class JobSocket {
  /** what the client sends to the command, and its end */
  readonly input: PassThrough;
  /** called when `isFull` was true and there is room again */
  onRoom: () => void = () => {};
  readonly #socket: WebSocket;
  readonly #deps: { readonly clock: Clock; readonly limits: GatewayLimits };
  readonly #canClose: boolean;
  readonly #takesInput: boolean;
  readonly #gone = new AbortController();
  readonly #closed: Promise<void>;
  /** since the last ping */
  #heard = true;
  /** it was sent output since it was heard */
  #mayBeBusy = false;
  #full = false;
  #cancelPing: () => void = () => {};

  constructor(
    socket: WebSocket,
    how: { protocol: ExecProtocol; stdin: boolean },
    deps: { readonly clock: Clock; readonly limits: GatewayLimits },
  ) {
    this.#socket = socket;
    this.#deps = deps;
    this.#canClose = how.protocol === 'v5.channel.k8s.io';
    this.#takesInput = how.stdin;
    this.input = new PassThrough({ highWaterMark: deps.limits.typeAheadBytes });
    this.input.on('drain', () => this.#listen());
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data) => this.#receive(data));
    socket.on('pong', () => this.#hear());
    socket.on('error', () => {}); // a `close` follows
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#cancelPing();
        this.#end(new ClientGone('the client of the command has gone', true));
        resolve();
      });
    });
    this.#pingLater();
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** `frame` begins with its channel. */
  send(frame: Buffer): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#mayBeBusy = true;
    this.#socket.send(frame, { binary: true }, () => {
      if (!this.#full || this.#socket.bufferedAmount > this.#deps.limits.bufferedLowBytes) return;
      this.#full = false;
      this.onRoom();
    });
  }

  /** True: send no more, `onRoom` will be called. */
  isFull(): boolean {
    this.#full ||= this.#socket.bufferedAmount > this.#deps.limits.bufferedHighBytes;
    return this.#full;
  }

  /** What was sent and has not left this process. */
  get waitingBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Says how it ended, after everything that was sent before, and closes. Resolves when the socket has closed, within `statusWithinMs`. */
  async finish(status: ExecStatus): Promise<void> {
    this.input.unpipe().resume(); // what is left of it has nowhere to go, and must not hide the client's close
    this.#listen();
    if (this.#socket.readyState === this.#socket.OPEN) {
      const frame = Buffer.concat([Buffer.of(channel.status), Buffer.from(JSON.stringify(status))]);
      const written = new Promise<void>((resolve) => this.#socket.send(frame, { binary: true }, () => resolve()));
      const cancelCut = this.#deps.clock.after(this.#deps.limits.statusWithinMs, () => this.cut());
      // A slow client has long for what was sent; only then its answer to the close is waited for.
      await Promise.race([written, this.#closed]);
      cancelCut();
      this.#socket.close(1000);
    }
    await this.#closed;
  }

  cut(): void {
    this.#socket.terminate();
  }

  #hear(): void {
    this.#heard = true;
    this.#mayBeBusy = false;
  }

  #receive(data: RawData): void {
    this.#hear();
    if (this.gone.aborted || !Buffer.isBuffer(data)) return;
    switch (data[0]) {
      case channel.stdin:
        if (!this.#takesInput) this.#breach('input came for a command that was started without stdin');
        else if (this.input.writableEnded) this.#breach('input came after its end');
        else if (data.length > 1 && !this.input.write(data.subarray(1))) this.#hold();
        return;
      case channel.resize: // clients send it without a terminal too, and it has no meaning then
        return;
      case channel.close:
        if (this.#canClose && data.length === 2 && data[1] === channel.stdin) this.input.end();
        else this.#breach('only channel 0 can be closed, with v5.channel.k8s.io');
        return;
      default:
        this.#breach(`there is nothing to be sent on channel ${data[0] ?? '(none: an empty message)'}`);
    }
  }

  #hold(): void {
    this.#socket.pause();
    this.#pingLater();
  }

  #listen(): void {
    if (!this.#socket.isPaused) return;
    this.#hear();
    this.#socket.resume();
  }

  #breach(why: string): void {
    this.#end(new Ending('bad-message', { message: why }));
  }

  #end(reason: Ending | ClientGone): void {
    if (!this.gone.aborted) this.#gone.abort(reason);
  }

  #pingLater(): void {
    const { pingEveryMs, heldPingEveryMs } = this.#deps.limits;
    this.#cancelPing();
    if (this.#socket.readyState === this.#socket.CLOSED) return;
    this.#cancelPing = this.#deps.clock.after(this.#socket.isPaused ? heldPingEveryMs : pingEveryMs, () => {
      if (!this.#heard && !this.#mayBeBusy && !this.#socket.isPaused) {
        this.cut();
        return;
      }
      this.#heard = false;
      // Where something waits to be written, that finds out as well.
      const isIdle = !this.#socket.isPaused || this.#socket.bufferedAmount === 0;
      if (isIdle && this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
      this.#pingLater();
    });
  }
}
