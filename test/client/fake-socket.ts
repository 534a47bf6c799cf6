import type { LinkSocket } from '#shared/terminal-link.ts';
import {
  type Closed,
  openTerminal,
  type RemoteTerminal,
  type TerminalClientLimits,
  type TerminalEvent,
  type TerminalOptions,
} from '#shared/terminal-client.ts';
import { ClientMessage, type ServerMessage } from '#shared/terminal-protocol.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

type Hello = Extract<ServerMessage, { type: 'hello' }>;
type Listener = (event: { data: unknown; code: number; reason: string; error: unknown }) => void;

/** A socket whose other end is the test. */
export class FakeSocket implements LinkSocket {
  binaryType = 'blob';
  readyState = 0;
  readonly url: URL;
  readonly protocols: readonly string[];
  readonly messages: ClientMessage[] = [];
  readonly frames: Uint8Array[] = [];
  /** the code with which the client has closed it */
  closedWith: number | null = null;
  readonly #listeners: { readonly type: string; readonly listener: Listener }[] = [];

  constructor(url: string, protocols: readonly string[]) {
    this.url = new URL(url);
    this.protocols = protocols;
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.push({ type, listener });
  }

  send(data: string | Uint8Array): void {
    if (typeof data === 'string') this.messages.push(ClientMessage.parse(JSON.parse(data)));
    else this.frames.push(data);
  }

  close(code = 1005): void {
    this.closedWith = code;
    this.readyState = 2;
  }

  typed(): string {
    return Buffer.concat(this.frames).toString();
  }

  open(): void {
    this.readyState = 1;
    this.#happen('open', {});
  }

  say(message: ServerMessage | { type: 'later-than-us' }): void {
    this.#happen('message', { data: JSON.stringify(message) });
  }

  output(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.#happen('message', { data: bytes.buffer });
  }

  hello(more: Partial<Hello> = {}): void {
    this.say({
      ...{ type: 'hello', user: 'alice', mode: 'rw', session: 's1', containerId: 'c1', viewer: 'v1', start: 'new' },
      ...{ replayBytes: 0, offset: 0, received: 0, ticket: 'ticket-1', graceMs: 300_000, cols: 80, rows: 24 },
      ...{ highBytes: 262_144, lowBytes: 65_536, ackEveryBytes: 32_768 },
      ...more,
    });
  }

  fail(error: Error): void {
    this.#happen('error', { error });
    this.end(1006);
  }

  end(code: number, reason = ''): void {
    this.readyState = 3;
    this.#happen('close', { code, reason });
  }

  #happen(type: string, event: object): void {
    const whole = { data: null, code: 0, reason: '', error: null, ...event };
    for (const known of this.#listeners) if (known.type === type) known.listener(whole);
  }
}

export interface ClientWorld {
  readonly terminal: RemoteTerminal;
  /** Time passes, once all that can happen without it has. */
  pass(ms: number): Promise<void>;
  readonly sockets: FakeSocket[];
  readonly events: TerminalEvent[];
  /** sessions that tokens were asked for */
  readonly asked: (string | null)[];
  readonly abort: AbortController;
  /** what was handed out so far */
  seen(): string;
  /** calls what waits to be told that it was parsed */
  parse(): void;
  /** the newest socket, which there must be `count` of by now */
  socket(count: number): Promise<FakeSocket>;
  /** the newest socket, opened, and greeted by the gateway */
  greeted(count: number, more?: Partial<Hello>): Promise<FakeSocket>;
  event<Type extends TerminalEvent['type']>(type: Type): Extract<TerminalEvent, { type: Type }>[];
  closed(): Promise<Closed>;
}

export function clientWorld(
  options: { limits?: Partial<TerminalClientLimits> } & Partial<
    Pick<TerminalOptions, 'getToken' | 'isFinal' | 'random'>
  > = {},
): ClientWorld {
  const clock = new FakeClock();
  const sockets: FakeSocket[] = [];
  const events: TerminalEvent[] = [];
  const asked: (string | null)[] = [];
  const abort = new AbortController();
  let seen = '';
  let unparsed: (() => void)[] = [];
  const terminal = openTerminal(
    {
      getToken(session) {
        asked.push(session);
        return Promise.resolve({ url: 'ws://box.test/v1/terminal', token: `token-${asked.length}` });
      },
      size: { cols: 80, rows: 24 },
      on: (event) => events.push(event),
      output(bytes, parsed) {
        seen += new TextDecoder().decode(bytes);
        unparsed.push(parsed);
      },
      openSocket(url, protocols) {
        const socket = new FakeSocket(url, protocols);
        sockets.push(socket);
        return socket;
      },
      random: () => 1,
      clock,
      ...options,
    },
    abort.signal,
  );
  const world: ClientWorld = {
    terminal,
    async pass(ms) {
      await settled();
      await clock.advance(ms);
    },
    sockets,
    events,
    asked,
    abort,
    seen: () => seen,
    parse() {
      const now = unparsed;
      unparsed = [];
      for (const parsed of now) parsed();
    },
    async socket(count) {
      await settled();
      const socket = sockets.at(-1);
      if (!socket || sockets.length !== count) throw new Error(`${sockets.length} sockets, not ${count}`);
      return socket;
    },
    async greeted(count, more) {
      const socket = await world.socket(count);
      socket.open();
      socket.hello(more);
      return socket;
    },
    event<Type extends TerminalEvent['type']>(type: Type) {
      return events.filter((event): event is Extract<TerminalEvent, { type: Type }> => event.type === type);
    },
    async closed() {
      const closed = await terminal.closed;
      await settled();
      // A timer that is left would keep a process alive.
      if (clock.pending > 0) throw new Error(`${clock.pending} timers are left`);
      return closed;
    },
  };
  return world;
}
