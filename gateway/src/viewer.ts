import type { Clock } from '#shared/clock.ts';
import { type ServerMessage, type TerminalSize, terminalLimits } from '#shared/terminal-protocol.ts';
import { withoutAnswers } from './answers.ts';
import type { TerminalClient } from './client.ts';
import type { GatewayLimits } from './limits.ts';
import type { Ring } from './ring.ts';
import type { Guest } from './tickets.ts';

/** What a session does for one of its viewers. */
export interface ViewerHost {
  readonly ring: Ring;
  /** The screen as it is now, and the offset of what follows. */
  screen(): Promise<{ readonly bytes: Buffer; readonly offset: number }>;
  /** Input to the shell; false: the socket that it came from is not to be read on. */
  input(from: Viewer, bytes: Buffer): boolean;
  resized(viewer: Viewer): void;
  end(viewer: Viewer): void;
  /** it cannot be brought up to date */
  failed(viewer: Viewer, error: unknown): void;
  /** it is so far behind that it gets a screen */
  behind(): void;
  /** the viewer has room, and has everything */
  room(): void;
}

/** How far a viewer has the output: up to this offset; null = it has none, and gets the screen; `first` = nor has anybody else, and it gets all. */
export type Seen = number | null | 'first';

/** How a viewer begins: what it is told in `hello` beside what all are told. */
export type Begin = Pick<Extract<ServerMessage, { type: 'hello' }>, 'start' | 'replayBytes' | 'offset'>;

/**
 * One socket at a session: where it is in the output, and its input.
 *
 * INVARIANTS
 * - Gets every byte from its offset on, in order and once; or, when it has fallen behind the ring, a screen and all from there.
 * - Is sent nothing while it is full, until the shell has ended; what it lacks is read from the ring when it has room, and held nowhere else.
 * - Input is counted when it was handed on, never before.
 */
export class Viewer {
  readonly client: TerminalClient;
  readonly guest: Guest;
  readonly #host: ViewerHost;
  readonly #deps: { readonly clock: Clock; readonly limits: GatewayLimits };
  readonly cameAtMs: number;
  /** of the next byte to send; null = it has not begun, or its screen is being drawn */
  #next: number | null = null;
  /** of the replay, what the client has not parsed yet: until then its terminal may answer what was asked long ago */
  #replayBytes = 0;
  #isLast = false;
  /** settles when the screen that is being drawn for it was sent; never rejects */
  #drawn: Promise<void> = Promise.resolve();
  #confirmed: number;
  /** the last one that the session has heard of: until the client is connected, its resizes are not told */
  #toldSize: TerminalSize;
  #cancelConfirm: (() => void) | null = null;

  constructor(
    host: ViewerHost,
    client: TerminalClient,
    guest: Guest,
    deps: { readonly clock: Clock; readonly limits: GatewayLimits },
  ) {
    this.#host = host;
    this.client = client;
    this.guest = guest;
    this.#deps = deps;
    this.cameAtMs = deps.clock.monotonicMs();
    this.#toldSize = client.size;
    this.#confirmed = guest.received ?? 0;
  }

  get size(): TerminalSize {
    return this.client.size;
  }

  /**
   * Tells it where it begins by `tell`, and sends what it lacks. `from`: what it has already.
   */
  begin(from: Seen, tell: (begin: Begin) => void): void {
    this.#isLast = false;
    this.#catchUpTo(this.#begin(from, tell));
  }

  async #begin(from: Seen, tell: (begin: Begin) => void): Promise<void> {
    const { ring } = this.#host;
    if (this.#next === null) {
      const isNew = ring.end === 0 || (from === 'first' && ring.start === 0);
      if (isNew || (typeof from === 'number' && from >= ring.start && from <= ring.end)) {
        const offset = isNew ? 0 : Number(from);
        this.#tellSize();
        // What nobody has seen yet, nobody has answered.
        if (this.client.acks && !isNew) this.#replayBytes = ring.end - offset;
        tell({ start: isNew ? 'new' : 'exact', replayBytes: 0, offset });
        this.#next = offset;
      } else {
        const { bytes, offset } = await this.#host.screen();
        if (this.client.gone.aborted) return;
        this.#tellSize();
        tell({ start: 'screen', replayBytes: bytes.length, offset });
        this.client.send(bytes);
        this.#next = offset;
      }
      this.client.connect({
        input: (bytes) => this.#input(bytes),
        resize: () => {
          this.guest.previous = '';
          this.#tellSize();
        },
        acked: (bytes) => {
          this.guest.previous = '';
          this.#replayBytes = Math.max(0, this.#replayBytes - bytes);
        },
        end: () => this.#host.end(this),
        room: () => this.catchUp(),
      });
    } else {
      // A new shell: what comes from it follows what the client has, or is being sent.
      tell({ start: 'new', replayBytes: 0, offset: this.#next });
    }
    this.catchUp();
  }

  /** `bytes` were just appended to the ring, at this offset. */
  offer(bytes: Buffer, at: number): void {
    if (this.#next !== at || this.#mustWait()) return;
    this.client.send(bytes);
    this.#next = at + bytes.length;
  }

  /** True: it is full, and `room` will be called. */
  isFull(): boolean {
    return this.#next === null || this.client.isFull();
  }

  catchUp(): void {
    const { ring } = this.#host;
    while (this.#next !== null && this.#next < ring.end && !this.#mustWait()) {
      const bytes = ring.read(this.#next, this.#deps.limits.catchUpBytes);
      if (bytes === null) {
        this.#catchUpTo(this.#redraw());
        return;
      }
      this.client.send(bytes);
      this.#next += bytes.length;
    }
    if (!this.isFull()) this.#host.room();
  }

  /** The shell has ended: the rest is sent, as fast as the client takes it or not. It is bounded by what engine and ring hold. */
  async finish(): Promise<void> {
    this.#isLast = true;
    await this.#drawn;
    this.catchUp();
    await this.#drawn;
  }

  /** It had only seemed to have ended: nothing is sent to who is full any more. */
  goesOn(): void {
    this.#isLast = false;
  }

  /** What was received is told, and nothing of it is listened to any more. */
  leave(nowMs: number): void {
    this.#confirm();
    this.client.ignore();
    this.guest.goneAtMs = nowMs;
  }

  /** Behind the ring: the screen says what is there now. */
  async #redraw(): Promise<void> {
    this.#host.behind();
    this.#next = null;
    const { bytes, offset } = await this.#host.screen();
    if (this.client.gone.aborted) return;
    this.client.tell({ type: 'screen', replayBytes: bytes.length, offset });
    this.client.send(bytes);
    this.#next = offset;
    this.catchUp();
  }

  #tellSize(): void {
    if (this.size === this.#toldSize) return;
    this.#toldSize = this.size;
    this.#host.resized(this);
  }

  #catchUpTo(drawn: Promise<void>): void {
    this.#drawn = drawn.catch((error: unknown) => this.#host.failed(this, error));
  }

  #mustWait(): boolean {
    return !this.#isLast && this.client.isFull();
  }

  #input(bytes: Buffer): void {
    this.guest.previous = '';
    const goesOn = this.#host.input(this, this.#replayBytes > 0 ? withoutAnswers(bytes) : bytes);
    if (!goesOn) this.client.holdInput();
    if (this.guest.received === null) this.guest.received = 0;
    this.guest.received += bytes.length;
    if (this.guest.received - this.#confirmed >= terminalLimits.receivedEveryBytes) this.#confirm();
    else this.#cancelConfirm ??= this.#deps.clock.after(terminalLimits.receivedWithinMs, () => this.#confirm());
  }

  #confirm(): void {
    this.#cancelConfirm?.();
    this.#cancelConfirm = null;
    const { received } = this.guest;
    if (received === null || received === this.#confirmed) return;
    this.#confirmed = received;
    this.client.tell({ type: 'received', bytes: received });
  }
}
