import { Duplex } from 'node:stream';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import type { BoxExec, ProcessState, StartTerminal, Terminal } from '../../gateway/src/exec/port.ts';

/** A shell of the tests: what is typed is kept, what it says is pushed. */
export class FakeTerminal implements Terminal {
  readonly execId: string;
  readonly start: StartTerminal;
  readonly stream: Duplex;
  readonly typed: Buffer[] = [];
  hangUps = 0;
  /** its shell goes on without it */
  isOutlived = false;
  /** of the last hang-up */
  whose: 'ours' | 'anothers' | null = null;
  /** every size that was asked for */
  readonly sizes: TerminalSize[] = [];
  /** thrown by the next resizes, in this order */
  readonly resizeFailures: Error[] = [];
  now: ProcessState = { running: true, exitCode: null, boxRuns: true };

  constructor(execId: string, start: StartTerminal) {
    this.execId = execId;
    this.start = start;
    this.stream = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        this.typed.push(chunk);
        done();
      },
    });
  }

  async resize(size: TerminalSize): Promise<void> {
    this.sizes.push(size);
    const failure = this.resizeFailures.shift();
    if (failure) throw failure;
  }

  state(): Promise<ProcessState> {
    return Promise.resolve(this.now);
  }

  outlives(): Promise<boolean> {
    return Promise.resolve(this.isOutlived);
  }

  hangUp(whose: 'ours' | 'anothers' = 'ours'): Promise<void> {
    this.hangUps += 1;
    this.whose = whose;
    this.stream.destroy();
    return Promise.resolve();
  }

  leave(): Promise<boolean> {
    if (this.start.persist === 'none') return this.hangUp().then(() => false);
    this.stream.destroy();
    return Promise.resolve(true);
  }

  says(text: string): void {
    this.stream.push(Buffer.from(text));
  }

  ends(state: Partial<ProcessState>): void {
    this.now = { running: false, exitCode: null, boxRuns: true, ...state };
    this.stream.push(null);
  }
}

export interface FakeExec extends BoxExec {
  readonly terminals: FakeTerminal[];
  /** thrown by the next starts, in this order */
  readonly failures: Error[];
  /** sessions whose shell runs without a gateway */
  readonly resumable: Set<string>;
  /** what was asked to be ended that a gateway had left, and how many shells had been opened by then */
  readonly endedLeft: { readonly containerId: string; readonly session: string; readonly shells: number }[];
}

export function createFakeExec(): FakeExec {
  const terminals: FakeTerminal[] = [];
  const failures: Error[] = [];
  const resumable = new Set<string>();
  const endedLeft: FakeExec['endedLeft'] = [];
  return {
    terminals,
    endedLeft,
    resumable,
    failures,
    async open(start) {
      const failure = failures.shift();
      if (failure) throw failure;
      const terminal = new FakeTerminal(`exec-${terminals.length}`, start);
      terminals.push(terminal);
      return terminal;
    },
    resume(start) {
      if (!resumable.has(start.session)) return Promise.resolve(null);
      const terminal = new FakeTerminal(`exec-${terminals.length}`, start);
      terminals.push(terminal);
      return Promise.resolve(terminal);
    },
    endLeft(of) {
      endedLeft.push({ ...of, shells: terminals.length });
      return Promise.resolve();
    },
    ping: () => Promise.resolve(),
  };
}
