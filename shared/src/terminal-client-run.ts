import { type Clock, systemClock } from './clock.ts';
import type {
  Closed,
  RemoteTerminal,
  TerminalClientLimits,
  TerminalEvent,
  TerminalOptions,
} from './terminal-client.ts';
import { KeptInput } from './terminal-input.ts';
import { Line } from './terminal-line.ts';
import { Link, type LinkEnd, type LinkSocket } from './terminal-link.ts';
import { type ServerMessage, TerminalSize, terminalProtocol, tokenProtocolPrefix } from './terminal-protocol.ts';
import { afterEnd, backoffMs } from './terminal-retry.ts';

type Hello = Extract<ServerMessage, { type: 'hello' }>;
type Again = { readonly inMs: number; readonly why: string };

/**
 * One socket after the other, until the session has ended or there is no sense in going on.
 *
 * INVARIANTS
 * - `#offset` is the session's offset after the last byte that was handed to `output`; null = the screen is not whole, and one
 *   has to be asked for
 * - input leaves only after the gateway's hello, which tells where it goes on
 * - every attempt waits longer than the one before, but for the two that `Next` calls `now`, which cannot follow themselves
 */
export class ClientRun implements RemoteTerminal {
  readonly closed: Promise<Closed>;
  readonly #options: TerminalOptions;
  readonly #limits: TerminalClientLimits;
  readonly #clock: Clock;
  readonly #input: KeptInput;
  /** aborted by close() */
  readonly #done = new AbortController();
  #size: TerminalSize;
  /** the last one that the gateway of this connection was told */
  #toldSize: TerminalSize;
  #line: Line | null = null;
  #wake: () => void = () => {};
  #url = '';
  /** where the gateway said that the session is: tried once */
  #elsewhere: string | null = null;
  #session: string | null = null;
  #ticket: string | null = null;
  #offset: number | null = null;
  #readOnly = false;
  #wantsEnd = false;
  #exit: string | null = null;
  #over = false;
  #attempt = 0;
  #refusedTokens = 0;
  #downSinceMs: number;
  /** the connection of now, since it is one */
  #greetedAtMs: number | null = null;
  /** of the last shell; null = there was none */
  #containerId: string | null = null;

  constructor(options: TerminalOptions, limits: TerminalClientLimits, signal: AbortSignal) {
    this.#options = options;
    this.#limits = limits;
    this.#clock = options.clock ?? systemClock;
    this.#size = TerminalSize.parse(options.size);
    this.#toldSize = this.#size;
    this.#input = new KeptInput(limits.input);
    this.#downSinceMs = this.#clock.monotonicMs();
    const onAbort = (): void => this.close();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) this.close();
    this.closed = this.#run().then((closed) => {
      signal.removeEventListener('abort', onAbort);
      this.#over = true;
      this.#input.close();
      options.on(closed);
      return closed;
    });
  }

  get replaying(): boolean {
    return this.#line?.replaying ?? false;
  }

  async type(bytes: Uint8Array<ArrayBuffer>, how?: { readonly answer: boolean }): Promise<void> {
    if (this.#over || bytes.length === 0 || (how?.answer && this.replaying)) return;
    // The gateway drops it and says so, and does not confirm it.
    if (this.#readOnly) {
      this.#line?.link.sendBytes(bytes);
      return;
    }
    const room = this.#input.add(bytes);
    this.#sendInput();
    await room;
  }

  resize(size: TerminalSize): boolean {
    const parsed = TerminalSize.safeParse(size);
    if (!parsed.success) return false;
    this.#size = parsed.data;
    if (this.#line?.greeted) this.#tellSize(this.#line);
    return true;
  }

  retryNow(): void {
    this.#wake();
  }

  end(): void {
    this.#wantsEnd = true;
    if (this.#line?.greeted) this.#line.link.send({ type: 'end' });
  }

  close(): void {
    if (this.#done.signal.aborted) return;
    this.#done.abort(new Error('the terminal was closed'));
    this.#line?.link.close(this.#limits.closeWithinMs);
    this.#wake();
  }

  async #run(): Promise<Closed> {
    for (;;) {
      const next = this.#judge(await this.#connection());
      if ('type' in next) return next;
      this.#attempt += 1;
      this.#options.on({ type: 'reconnecting', attempt: this.#attempt, ...next });
      await this.#wait(next.inMs);
    }
  }

  /** One socket, from the question for a token to its end. */
  async #connection(): Promise<LinkEnd> {
    try {
      const line = await this.#open();
      const end = await line.link.ended;
      line.stop();
      if (line.greeted) this.#offset = line.offset;
      return end;
    } catch (error) {
      return { code: null, reason: '', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  async #open(): Promise<Line> {
    this.#line = null;
    const ticket = this.#ticket;
    const token = ticket === null ? await this.#token() : null;
    this.#done.signal.throwIfAborted();
    const protocols = token === null ? [terminalProtocol] : [terminalProtocol, tokenProtocolPrefix + token];
    const open = this.#options.openSocket ?? openStandardSocket;
    const link = new Link(open(this.#address(token !== null), protocols), this.#clock, this.#limits.link);
    const { ackTailAfterMs } = this.#limits;
    const line = new Line(link, { byTicket: ticket !== null, clock: this.#clock, ackTailAfterMs });
    this.#line = line;
    link.listen({
      open: () => {
        this.#toldSize = this.#size;
        link.send({
          type: 'hello',
          ...(ticket === null ? {} : { ticket }),
          ...(this.#offset === null ? {} : { offset: this.#offset }),
          ...this.#size,
        });
      },
      message: (message) => this.#onMessage(line, message),
      bytes: (bytes) => this.#options.output(bytes, line.took(bytes.length)),
    });
    return line;
  }

  async #token(): Promise<string> {
    const late = new AbortController();
    const cancel = this.#clock.after(this.#limits.tokenWithinMs, () => late.abort(new Error('no token came in time')));
    try {
      const signal = AbortSignal.any([this.#done.signal, late.signal]);
      const { url, token, session } = await this.#options.getToken(this.#session, signal);
      this.#url = url;
      this.#session ??= session ?? null;
      return token;
    } finally {
      cancel();
    }
  }

  /** `mayStart`: this socket may be the first of its session. Its shell need not wait for `hello` then, which saves a round trip. */
  #address(mayStart: boolean): string {
    const url = new URL(this.#url);
    if (this.#elsewhere !== null) {
      const there = new URL(this.#elsewhere);
      if (there.pathname === '/') there.pathname = url.pathname;
      url.href = there.href;
    }
    url.protocol = url.protocol.replace('http', 'ws');
    if (this.#session !== null) url.searchParams.set('session', this.#session);
    if (mayStart) {
      url.searchParams.set('cols', String(this.#size.cols));
      url.searchParams.set('rows', String(this.#size.rows));
    }
    return url.href;
  }

  #onMessage(line: Line, message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.#onHello(line, message);
        return;
      case 'pong':
        return;
      case 'received':
        this.#input.confirm(message.bytes);
        this.#sendInput();
        return;
      case 'screen':
        line.startAt(message.offset, message.replayBytes);
        break;
      case 'error':
        line.said = message;
        break;
      case 'exit':
        this.#exit = message.message;
        line.link.endWithin(this.#limits.closeWithinMs);
        break;
      default:
        break;
    }
    this.#tell(message);
  }

  #onHello(line: Line, hello: Hello): void {
    this.#ticket = hello.ticket;
    if (!line.greeted && hello.start === 'exact' && this.#offset !== null && hello.offset !== this.#offset) {
      // Bytes would be missing or doubled: the whole screen is asked for instead.
      line.link.drop(`the gateway goes on at byte ${hello.offset} instead of ${this.#offset}`);
      this.#offset = null;
      return;
    }
    const lost = this.#alignInput(line, hello);
    this.#session = hello.session;
    this.#readOnly = hello.mode === 'ro';
    this.#refusedTokens = 0;
    this.#greetedAtMs = this.#clock.monotonicMs();
    line.greeted = true;
    line.ackEvery(hello.ackEveryBytes);
    line.startAt(hello.offset, hello.replayBytes);
    this.#tell(hello);
    if (hello.start === 'screen') {
      this.#tell({ type: 'screen', offset: hello.offset, replayBytes: hello.replayBytes });
    }
    if (lost > 0) this.#tell({ type: 'input-lost', bytes: lost });
    this.#tellSize(line);
    if (this.#wantsEnd) line.link.send({ type: 'end' });
    this.#sendInput();
  }

  #tellSize({ link }: Line): void {
    const { cols, rows } = this.#size;
    if (cols === this.#toldSize.cols && rows === this.#toldSize.rows) return;
    this.#toldSize = this.#size;
    link.send({ type: 'resize', cols, rows });
  }

  /** Where input goes on; answers how much of it is lost. */
  #alignInput(line: Line, { containerId, start, received }: Hello): number {
    const boxBefore = this.#containerId;
    this.#containerId = containerId;
    if (line.greeted) {
      // On the same socket nothing was lost.
      if (received !== null) this.#input.confirm(received);
      return 0;
    }
    const sameBox = boxBefore === containerId;
    if (line.byTicket && received !== null && sameBox) {
      this.#input.resume(received);
      return 0;
    }
    const otherShell = boxBefore !== null && (!sameBox || start === 'new');
    return this.#input.drop(otherShell ? 'all' : 'sent', received ?? 0);
  }

  #sendInput(): void {
    const line = this.#line;
    if (!line?.greeted || !line.link.isOpen) return;
    for (let bytes = this.#input.next(); bytes !== null; bytes = this.#input.next()) line.link.sendBytes(bytes);
  }

  /** What follows the end of a connection. */
  #judge(end: LinkEnd): Closed | Again {
    const nowMs = this.#clock.monotonicMs();
    const next = afterEnd(end, this.#line?.said ?? null, {
      ticket: this.#line?.byTicket ?? false,
      elsewhere: this.#elsewhere !== null,
    });
    const over = (how: Closed['how'], name: Closed['name'] = null, message = next.why): Closed => {
      return { type: 'closed', how, name, message, error: end.error };
    };
    this.#elsewhere = null;
    if (this.#greetedAtMs !== null) {
      this.#downSinceMs = nowMs;
      if (nowMs - this.#greetedAtMs >= this.#limits.stableAfterMs) this.#attempt = 0;
      this.#greetedAtMs = null;
    }
    if (this.#exit !== null) return over('exit', null, this.#exit);
    if (this.#done.signal.aborted) return over('done');
    if (end.error !== null && this.#options.isFinal?.(end.error)) return over('refused');
    switch (next.is) {
      case 'over':
        return over(next.name === 'ended' ? 'exit' : 'refused', next.name);
      case 'now':
        if (next.ticketRefused) this.#ticket = null;
        this.#elsewhere = next.address;
        return { inMs: 0, why: next.why };
      case 'later': {
        if (next.tokenRefused) this.#refusedTokens += 1;
        if (this.#refusedTokens >= this.#limits.refusedTokensMost) return over('refused', 'token-refused');
        const forMs = this.#containerId !== null ? this.#limits.againForMs : this.#limits.firstForMs;
        if (nowMs - this.#downSinceMs >= forMs) return over('gave-up', next.name);
        const attempt = next.slowly ? Number.POSITIVE_INFINITY : this.#attempt;
        const inMs = backoffMs(attempt, this.#limits.backoff, this.#options.random ?? Math.random);
        return { inMs, why: next.why };
      }
    }
  }

  #wait(ms: number): Promise<void> {
    if (ms === 0 || this.#done.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, () => this.#wake());
      this.#wake = () => {
        cancel();
        this.#wake = () => {};
        resolve();
      };
    });
  }

  #tell(event: TerminalEvent): void {
    this.#options.on(event);
  }
}

function openStandardSocket(url: string, protocols: string[]): LinkSocket {
  return new WebSocket(url, protocols);
}
