import { Duplex } from 'node:stream';
import type { BoxExec, Terminal } from '../../../gateway/src/exec/port.ts';

/** Shells that exist in this process only: each says 1 KiB a second, and echoes what is typed. */

const tickMs = 5;
/** Every terminal speaks in one tick of so many: twice a second. Few in each, as shells that know nothing of one another do. */
const ticksPerSpeech = 100;
const speech = Buffer.alloc(512, '.');

class SimTerminal implements Terminal {
  readonly execId: string;
  readonly stream: Duplex;
  readonly #onEnd: (terminal: SimTerminal) => void;
  #isWanted = true;

  constructor(execId: string, onEnd: (terminal: SimTerminal) => void) {
    this.execId = execId;
    this.#onEnd = onEnd;
    this.stream = new Duplex({
      read: () => {
        this.#isWanted = true;
      },
      write: (typed: Buffer, _encoding, done) => {
        this.stream.push(typed);
        done();
      },
    });
    this.stream.push('$ ');
  }

  /** A program whose reader is behind waits. */
  speak(): void {
    if (this.#isWanted) this.#isWanted = this.stream.push(speech);
  }

  async resize(): Promise<void> {}

  state() {
    return Promise.resolve({ running: !this.stream.destroyed, exitCode: null, boxRuns: true });
  }

  outlives(): Promise<boolean> {
    return Promise.resolve(false);
  }

  hangUp(): Promise<void> {
    this.stream.destroy();
    this.#onEnd(this);
    return Promise.resolve();
  }

  async leave(): Promise<boolean> {
    await this.hangUp();
    return false;
  }
}

export function createSimExec(): BoxExec {
  const slots = Array.from({ length: ticksPerSpeech }, () => new Set<SimTerminal>());
  let opened = 0;
  let tick = 0;
  const beganMs = performance.now();
  setInterval(() => {
    // A timer that comes late does not make less of it.
    for (; beganMs + tick * tickMs <= performance.now(); tick++) {
      for (const terminal of slots[tick % ticksPerSpeech] ?? []) terminal.speak();
    }
  }, tickMs);
  return {
    open() {
      const slot = slots[opened % ticksPerSpeech];
      const terminal = new SimTerminal(`exec-${opened++}`, (ended) => void slot?.delete(ended));
      slot?.add(terminal);
      return Promise.resolve(terminal);
    },
    resume: () => Promise.resolve(null),
    endLeft: () => Promise.resolve(),
    ping: () => Promise.resolve(),
  };
}
