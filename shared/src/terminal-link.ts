import type { Clock } from './clock.ts';
import { parseJson } from './json.ts';
import { type ClientMessage, ServerMessage } from './terminal-protocol.ts';

/** What is used of the standard WebSocket. */
export interface LinkSocket {
  binaryType: string;
  readonly readyState: number;
  addEventListener(type: 'open', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'error', listener: (event: unknown) => void): void;
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  /** where there is one (`ws`): cuts the connection without a closing handshake */
  terminate?(): void;
}

export type OpenSocket = (url: string, protocols: string[]) => LinkSocket;

/** How a socket ended. */
export interface LinkEnd {
  /** null = it was given up here, or never opened */
  readonly code: number | null;
  /** for people; '' = nothing was said */
  readonly reason: string;
  readonly error: Error | null;
}

export interface LinkEvents {
  open(): void;
  message(message: ServerMessage): void;
  bytes(bytes: Uint8Array): void;
}

export interface LinkLimits {
  readonly connectWithinMs: number;
  /** after so long a silence the gateway is asked for a sign of life */
  readonly silentMs: number;
  /** … which must come within this time */
  readonly answerWithinMs: number;
}

const isOpen = 1;
/** Not 1000: that would end the session. */
const givenUpCode = 4900;

/**
 * One socket to the gateway, from its opening to its end. It makes no decisions.
 *
 * INVARIANTS
 * - nothing is told after `ended` has been decided
 * - a network that is gone tells nobody: a socket that stays silent is given up here
 */
export class Link {
  readonly ended: Promise<LinkEnd>;
  readonly #socket: LinkSocket;
  readonly #clock: Clock;
  readonly #limits: LinkLimits;
  readonly #end: (end: LinkEnd) => void;
  #over = false;
  #heardAtMs: number;
  #error: Error | null = null;
  #cancelTimer: () => void = () => {};

  constructor(socket: LinkSocket, clock: Clock, limits: LinkLimits) {
    this.#socket = socket;
    this.#clock = clock;
    this.#limits = limits;
    this.#heardAtMs = clock.monotonicMs();
    const { promise, resolve } = Promise.withResolvers<LinkEnd>();
    this.ended = promise;
    this.#end = (end) => {
      if (this.#over) return;
      this.#over = true;
      this.#cancelTimer();
      resolve(end);
    };
    this.#cancelTimer = clock.after(limits.connectWithinMs, () => this.drop('the gateway does not answer'));
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('error', (event) => {
      this.#error ??= errorOf(event);
    });
    socket.addEventListener('close', ({ code, reason }) => this.#end({ code, reason, error: this.#error }));
  }

  /** At once after it was made, before anything can happen. */
  listen(on: LinkEvents): void {
    const socket = this.#socket;
    socket.addEventListener('open', () => {
      if (this.#over) return;
      this.#watchSilence();
      on.open();
    });
    socket.addEventListener('message', ({ data }) => {
      if (this.#over) return;
      this.#heardAtMs = this.#clock.monotonicMs();
      if (data instanceof ArrayBuffer) {
        on.bytes(new Uint8Array(data));
        return;
      }
      const parsed = ServerMessage.safeParse(typeof data === 'string' ? parseJson(data) : null);
      // A newer gateway may say more than this client knows; none of it is needed to go on.
      if (parsed.success) on.message(parsed.data);
    });
  }

  /** False: what is sent now goes nowhere. */
  get isOpen(): boolean {
    return !this.#over && this.#socket.readyState === isOpen;
  }

  send(message: ClientMessage): void {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  sendBytes(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.isOpen) this.#socket.send(bytes);
  }

  /** Done, and not only gone: the gateway may end the session. */
  close(withinMs: number): void {
    if (this.#over) return;
    this.endWithin(withinMs);
    this.#socket.close(1000);
  }

  /** The gateway has said that it will close. */
  endWithin(ms: number): void {
    if (this.#over) return;
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(ms, () => this.drop('the gateway did not close'));
  }

  /** Gives the socket up: to the gateway it looks like a lost network. */
  drop(reason: string): void {
    if (this.#over) return;
    this.#end({ code: null, reason, error: this.#error });
    if (this.#socket.terminate) this.#socket.terminate();
    else this.#socket.close(givenUpCode, 'given up');
  }

  #watchSilence(): void {
    this.#cancelTimer();
    const silentForMs = this.#clock.monotonicMs() - this.#heardAtMs;
    this.#cancelTimer = this.#clock.after(Math.max(0, this.#limits.silentMs - silentForMs), () => {
      const heardAtMs = this.#heardAtMs;
      if (this.#clock.monotonicMs() - heardAtMs < this.#limits.silentMs) {
        this.#watchSilence();
        return;
      }
      this.send({ type: 'ping' });
      this.#cancelTimer = this.#clock.after(this.#limits.answerWithinMs, () => {
        if (this.#heardAtMs === heardAtMs) this.drop('the gateway has fallen silent');
        else this.#watchSilence();
      });
    });
  }
}

function errorOf(event: unknown): Error | null {
  if (typeof event !== 'object' || event === null || !('error' in event)) return null;
  return event.error instanceof Error ? event.error : null;
}
