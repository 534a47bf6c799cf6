import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import type { Terminal } from './exec/port.ts';
import { OutputJoiner } from './join-output.ts';
import type { GatewayLimits } from './limits.ts';
import type { GatewayMeter } from './metrics/gateway-meter.ts';

export interface PumpDeps {
  readonly clock: Clock;
  readonly limits: GatewayLimits;
  readonly log: Logger;
  readonly meter: GatewayMeter;
}

/** Where a shell's output goes, and what can hold it. */
export interface Outlet {
  output(bytes: Buffer): void;
  isFull(): boolean;
  /** the process has ended: what is still to come is taken, whoever is full */
  ending(): void;
  /** the shell takes input again */
  drained(): void;
}

/**
 * The bytes of one shell, both ways.
 *
 * INVARIANTS
 * - The stream is paused only while the outlet is full, and never again once its process has ended: the engine throws away
 *   what such a stream does not take within 2 s.
 * - The latest size wins, one call at a time.
 */
export class Pump {
  readonly #deps: PumpDeps;
  readonly #terminal: Terminal;
  readonly #outlet: Outlet;
  readonly #resizer: Resizer;
  readonly #joiner: OutputJoiner;
  #ending = false;
  #isOver = false;
  /** it counts among those that are held */
  #isCounted = false;
  #cancelCheck: () => void = () => {};

  constructor(deps: PumpDeps, terminal: Terminal, startedWith: TerminalSize, outlet: Outlet) {
    this.#deps = deps;
    this.#terminal = terminal;
    this.#outlet = outlet;
    this.#resizer = new Resizer(deps.log, terminal, startedWith);
    this.#joiner = new OutputJoiner(deps.clock, deps.limits, (bytes) => outlet.output(bytes));
  }

  /**
   * Until the stream ends and all its output was handed on, or `signal` is aborted (then it rejects with the signal's
   * reason). The stream stays open: whoever started the shell ends it.
   */
  run(signal: AbortSignal): Promise<void> {
    const { stream } = this.#terminal;
    return new Promise((resolve, reject) => {
      const onData = (bytes: Buffer): void => {
        this.#joiner.push(bytes);
        if (this.#ending || stream.isPaused() || !this.#outlet.isFull()) return;
        stream.pause();
        this.#countPaused(true);
        this.#checkLater();
      };
      const onDrain = (): void => this.#outlet.drained();
      const settle = (): void => {
        signal.removeEventListener('abort', settle);
        this.#isOver = true;
        this.#countPaused(false);
        this.#cancelCheck();
        stream.off('data', onData).off('drain', onDrain).off('end', settle).off('close', settle);
        this.#joiner.flush();
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      // It stays: an error may come after the end.
      stream.on('error', (error) => this.#deps.log.debug({ error }, 'the stream of a terminal broke'));
      stream.on('drain', onDrain).once('end', settle).once('close', settle);
      signal.addEventListener('abort', settle, { once: true });
      if (signal.aborted || stream.destroyed) settle();
      else stream.on('data', onData);
    });
  }

  /** False: no more until the outlet hears that it drained. */
  write(bytes: Buffer): boolean {
    const { stream } = this.#terminal;
    if (stream.destroyed) return true;
    this.#joiner.input();
    return stream.write(bytes);
  }

  resize(size: TerminalSize): void {
    this.#resizer.want(size);
  }

  /** The outlet may have room again. */
  room(): void {
    if (!this.#terminal.stream.isPaused() || this.#outlet.isFull()) return;
    this.#terminal.stream.resume();
    this.#countPaused(false);
  }

  #countPaused(isPaused: boolean): void {
    if (isPaused === this.#isCounted) return;
    this.#isCounted = isPaused;
    const { meter } = this.#deps;
    meter.pausedStreams += isPaused ? 1 : -1;
    if (isPaused) meter.pauses += 1;
  }

  /** A paused stream does not tell that it ends, so the process is asked. */
  #checkLater(): void {
    const { stream } = this.#terminal;
    this.#cancelCheck();
    this.#cancelCheck = this.#deps.clock.after(this.#deps.limits.pausedCheckMs, () => {
      if (!stream.isPaused()) return;
      this.#terminal.state().then(
        ({ running }) => {
          if (this.#isOver || !stream.isPaused()) return;
          this.#ending = !running;
          if (this.#ending) {
            this.#outlet.ending();
            stream.resume();
            this.#countPaused(false);
          } else this.#checkLater();
        },
        (error: unknown) => {
          this.#deps.log.debug({ error }, 'a paused terminal cannot be looked at; trying again');
          if (!this.#isOver && stream.isPaused()) this.#checkLater();
        },
      );
    });
  }
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
