import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { ServerMessage, terminalPath, terminalProtocol, tokenProtocolPrefix } from '#shared/terminal-protocol.ts';
import type { Random } from '../sim/random.ts';
import type { Telling } from './telling.ts';

const connectWithinMs = 20_000;
const goodbyeWithinMs = 5_000;
const lookEveryMs = 20;
const keptForReportBytes = 120;

export interface Visit {
  readonly user: string;
  readonly session: string;
  readonly token: string;
  readonly gateway: { readonly name: string; readonly url: string };
}

/** The line that a person types; each names itself, so that one which is lost, doubled or out of order shows. */
export function lineOf(session: string, shell: number, line: number): string {
  return `${session}:${shell}:${line}:${'x'.repeat((line * 37) % 300)}`;
}

/**
 * A person at a terminal: types lines, and holds what comes back against what was typed, byte by byte. In the shell a loop
 * writes each line into the home, and only then echoes it; the terminal itself is raw, so that nothing else is echoed.
 */
export class Typist {
  readonly closed: Promise<void>;
  readonly #visit: Visit;
  readonly #tell: (telling: Telling) => void;
  readonly #socket: WebSocket;
  readonly #openedAtMs = Date.now();
  #shell = 0;
  /** what this shell has sent and was not judged yet; before its mark, all of it */
  #unread = Buffer.alloc(0);
  #marked = false;
  #typedLines = 0;
  #echoedLines = 0;
  /** typed, and not come back yet */
  #expected = '';
  #said = '';
  #refusedWith = 0;
  #closing = false;
  #garbled = false;

  constructor(visit: Visit, tell: (telling: Telling) => void) {
    this.#visit = visit;
    this.#tell = tell;
    const protocols = [terminalProtocol, `${tokenProtocolPrefix}${visit.token}`];
    const options = { perMessageDeflate: false, handshakeTimeout: connectWithinMs };
    this.#socket = new WebSocket(`${visit.gateway.url}${terminalPath}`, protocols, options);
    tell({ is: 'opens', ...this.#now(), gateway: visit.gateway.name });
    this.#socket.on('open', () => this.#send({ type: 'hello', cols: 80, rows: 24 }));
    this.#socket.on('message', (data, isBinary) => {
      if (!Buffer.isBuffer(data)) throw new Error('unexpected kind of data');
      if (isBinary) this.#bytes(data);
      else this.#message(ServerMessage.parse(JSON.parse(data.toString())));
    });
    this.#socket.on('unexpected-response', (_request, response) => {
      this.#refusedWith = response.statusCode ?? 0;
      response.resume();
      this.#socket.terminate();
    });
    // A `close` follows each.
    this.#socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      this.#socket.on('close', (code) => {
        this.#tellClosed(code);
        resolve();
      });
    });
  }

  /** The last shell's loop runs and everything typed came back. */
  get isAnswered(): boolean {
    return this.#marked && this.#expected === '';
  }

  get isClosed(): boolean {
    return this.#socket.readyState === WebSocket.CLOSED;
  }

  /** Types now and then, until it is time to go or the terminal is closed. */
  async work(random: Random, forMs: number): Promise<void> {
    const until = Date.now() + forMs;
    while (Date.now() < until && !this.isClosed) {
      await wait(random.int(50, 1_000));
      if (this.isAnswered) this.type(random.int(1, 8));
    }
  }

  type(lines: number): void {
    let text = '';
    for (let count = 0; count < lines; count += 1) {
      this.#typedLines += 1;
      text += `${lineOf(this.#visit.session, this.#shell, this.#typedLines)}\n`;
    }
    this.#expected += text;
    this.#sendBytes(text);
  }

  /** False where that did not come to be in time, or cannot any more. */
  async answered(withinMs: number): Promise<boolean> {
    const until = Date.now() + withinMs;
    while (!this.isAnswered && !this.isClosed && Date.now() < until) await wait(lookEveryMs);
    return this.isAnswered;
  }

  async leave(): Promise<void> {
    this.#closing = true;
    this.#socket.close(1000);
    const late = setTimeout(() => this.#socket.terminate(), goodbyeWithinMs);
    await this.closed;
    clearTimeout(late);
  }

  #message(message: ServerMessage): void {
    if (message.type === 'error') this.#said = `${message.code}: ${message.message}`;
    if (message.type === 'exit') this.#said = `${message.reason}: ${message.message}`;
    if (message.type !== 'hello') return;
    this.#shell += 1;
    this.#unread = Buffer.alloc(0);
    this.#marked = false;
    this.#expected = '';
    this.#typedLines = 0;
    this.#echoedLines = 0;
    // What is echoed of this line itself has no READY in it.
    const loop = String.raw`while IFS= read -r l; do printf '%s\n' "$l" >> ~/marks; printf '%s\n' "$l"; done`;
    this.#sendBytes(`stty raw -echo; printf 'REA%s\\n' DY${this.#shell}; ${loop}\n`);
  }

  #bytes(data: Buffer): void {
    this.#send({ type: 'ack', bytes: data.length });
    this.#unread = Buffer.concat([this.#unread, data]);
    const mark = Buffer.from(`READY${this.#shell}\n`);
    if (!this.#marked) {
      const at = this.#unread.indexOf(mark);
      if (at < 0) return;
      this.#marked = true;
      this.#unread = this.#unread.subarray(at + mark.length);
    }
    const got = this.#unread.toString('latin1');
    if (!this.#expected.startsWith(got)) {
      if (this.#garbled) return;
      this.#garbled = true;
      const show = (text: string): string => text.slice(0, keptForReportBytes);
      this.#tell({ is: 'garbled', ...this.#now(), expected: show(this.#expected), got: show(got) });
      return;
    }
    const whole = got.lastIndexOf('\n') + 1;
    if (whole === 0) return;
    this.#echoedLines += got.slice(0, whole).split('\n').length - 1;
    this.#expected = this.#expected.slice(whole);
    this.#unread = this.#unread.subarray(whole);
    this.#tell({ is: 'echoed', ...this.#now(), shell: this.#shell, line: this.#echoedLines });
  }

  #tellClosed(code: number): void {
    const refused = this.#refusedWith > 0 || (this.#shell === 0 && code === 1006);
    this.#tell({
      is: 'closed',
      ...this.#now(),
      gateway: this.#visit.gateway.name,
      openedAtMs: this.#openedAtMs,
      by: this.#closing ? 'us' : refused ? 'refused' : 'them',
      code: refused ? this.#refusedWith : code,
      said: this.#said,
    });
  }

  #now(): { atMs: number; user: string; session: string } {
    return { atMs: Date.now(), user: this.#visit.user, session: this.#visit.session };
  }

  #send(message: object): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #sendBytes(text: string): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(Buffer.from(text), { binary: true });
  }
}
