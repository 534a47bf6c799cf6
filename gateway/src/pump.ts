import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import type { TerminalMode } from '#shared/terminal-token.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import type { TerminalClient } from './client.ts';
import type { Terminal } from './exec/port.ts';
import { OutputJoiner } from './join-output.ts';
import type { TerminalLease } from './lease.ts';
import type { GatewayLimits } from './limits.ts';

export interface PumpDeps {
  readonly clock: Clock;
  readonly limits: GatewayLimits;
  readonly log: Logger;
}

/**
 * Bytes both ways between one client and one shell, until the shell's stream ends and all its output was sent, or `signal`
 * is aborted (then it rejects with the signal's reason). The stream stays open: whoever started the shell ends it.
 *
 * INVARIANTS
 * - The stream is paused only while the client is full, and never again once its process has ended: the engine throws away
 *   what such a stream does not take within 2 s.
 * - The client's input is held only while the stream has not taken what was written.
 */
export function pump(
  deps: PumpDeps,
  between: {
    terminal: Terminal;
    startedWith: TerminalSize;
    client: TerminalClient;
    lease: Pick<TerminalLease, 'input' | 'output'>;
    mode: TerminalMode;
  },
  signal: AbortSignal,
): Promise<void> {
  const { terminal, client, lease, mode } = between;
  const { stream } = terminal;
  const resizer = new Resizer(deps.log, terminal, between.startedWith);
  const joiner = new OutputJoiner(deps.clock, deps.limits, (bytes) => client.send(bytes));
  let ending = false;
  let toldReadOnly = false;
  let cancelCheck: () => void = () => {};

  /** A paused stream does not tell that it ends, so the process is asked. */
  function checkLater(): void {
    cancelCheck = deps.clock.after(deps.limits.pausedCheckMs, () => {
      if (!stream.isPaused()) return;
      terminal.state().then(
        ({ running }) => {
          if (!stream.isPaused()) return;
          ending = !running;
          if (ending) stream.resume();
          else checkLater();
        },
        (error: unknown) => {
          deps.log.debug({ error }, 'a paused terminal cannot be looked at; trying again');
          if (stream.isPaused()) checkLater();
        },
      );
    });
  }

  return new Promise((resolve, reject) => {
    const onData = (bytes: Buffer): void => {
      lease.output();
      joiner.push(bytes);
      if (ending || stream.isPaused() || !client.isFull()) return;
      stream.pause();
      cancelCheck();
      checkLater();
    };
    const onDrain = (): void => client.takeInput();
    const onError = (error: Error): void => deps.log.debug({ error }, 'the stream of a terminal broke');
    const disconnect = client.connect({
      input(bytes) {
        if (mode === 'ro') {
          if (!toldReadOnly) client.tell({ type: 'notice', code: 'read-only', message: 'this terminal is read-only' });
          toldReadOnly = true;
          return;
        }
        lease.input();
        if (!stream.destroyed && !stream.write(bytes)) client.holdInput();
      },
      resize: (size) => resizer.want(size),
      room: () => stream.resume(),
    });
    const settle = (): void => {
      signal.removeEventListener('abort', settle);
      cancelCheck();
      stream.off('data', onData).off('drain', onDrain).off('end', settle).off('close', settle);
      joiner.flush();
      disconnect();
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    stream.on('error', onError); // stays: an error may come after the end
    stream.on('drain', onDrain).once('end', settle).once('close', settle);
    signal.addEventListener('abort', settle, { once: true });
    if (signal.aborted || stream.destroyed) {
      settle();
      return;
    }
    stream.on('data', onData);
    resizer.want(client.size);
  });
}

const resizeTriesMost = 3;

/** The latest size wins, one call at a time. */
class Resizer {
  readonly #log: Logger;
  readonly #terminal: Terminal;
  #is: TerminalSize;
  #wanted: TerminalSize;
  #underWay = false;
  #failures = 0;

  constructor(log: Logger, terminal: Terminal, startedWith: TerminalSize) {
    this.#log = log;
    this.#terminal = terminal;
    this.#is = startedWith;
    this.#wanted = startedWith;
  }

  want(size: TerminalSize): void {
    this.#wanted = size;
    this.#resize();
  }

  #resize(): void {
    const size = this.#wanted;
    if (this.#underWay || (size.cols === this.#is.cols && size.rows === this.#is.rows)) return;
    this.#underWay = true;
    this.#terminal
      .resize(size)
      .then(() => true)
      .catch((error: unknown) => {
        this.#log.warn({ error }, 'a terminal could not be resized');
        return false;
      })
      .then((done) => {
        this.#failures = done ? 0 : this.#failures + 1;
        // A program that draws for the wrong size does so until the next resize, which may never come.
        if (done || this.#failures >= resizeTriesMost) {
          this.#is = size;
          this.#failures = 0;
        }
        this.#underWay = false;
        this.#resize();
      });
  }
}
