import { Duplex } from 'node:stream';
import { EngineError } from '#shared/faults.ts';
import type { BoxExec, ProcessState, Terminal } from '../../gateway/src/exec/port.ts';
import type { SimContainer, SimEngine } from '../support/sim-engine.ts';
import { Link, orAborted, type Weather } from './link.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimProcess } from './sim-process.ts';

/** A shell that runs in a container, as the engine has it. */
interface Shell {
  readonly container: SimContainer;
  readonly run: number;
  readonly session: string;
  exitCode: number | null;
  /** somebody else ended it */
  onEnded: () => void;
}

/** All shells of the simulation, whoever opened them: what is left of them at the end has leaked. */
export class SimShells {
  private readonly engine: SimEngine;
  readonly shells = new Set<Shell>();

  constructor(engine: SimEngine) {
    this.engine = engine;
    engine.inside = {
      marks: (container) => [...new Set(this.in(container).map(({ session }) => session))],
      end: (container, session) => this.endMarked(container.id, session),
    };
  }

  /** Of a container that is gone, nothing. */
  endMarked(containerId: string, session: string): void {
    for (const shell of this.running()) {
      if (shell.container.id !== containerId || shell.session !== session) continue;
      this.end(shell, 129);
      shell.onEnded();
    }
  }

  running(): Shell[] {
    return [...this.shells].filter((shell) => this.runs(shell));
  }

  private in(container: SimContainer): Shell[] {
    return this.running().filter((shell) => shell.container === container);
  }

  open(containerId: string, session: string): Shell {
    const container = this.engine.runsFor('exec', containerId);
    const shell: Shell = { container, run: container.run, session, exitCode: null, onEnded: () => {} };
    this.shells.add(shell);
    container.execs += 1;
    return shell;
  }

  end(shell: Shell, exitCode: number): void {
    if (!this.runs(shell)) return;
    shell.exitCode = exitCode;
    shell.container.execs -= 1;
  }

  runs(shell: Shell): boolean {
    const { container } = shell;
    return shell.exitCode === null && container.state === 'running' && container.run === shell.run;
  }
}

/** The gateway's port to the engine, with time and faults. Shells echo what they read; `exit` ends one. */
export function createExecLink(options: {
  shells: SimShells;
  engine: SimEngine;
  scheduler: Scheduler;
  process: SimProcess;
  random: Random;
  weather: Weather;
  /** looks at what each call does */
  unchanged: <Value>(effect: () => Value) => Value;
}): BoxExec {
  const { shells, engine, scheduler, process } = options;
  const lostError = (operation: string): EngineError =>
    new EngineError({ kind: 'timeout', operation, status: null, message: 'no answer from the engine' });
  const link = new Link({ ...options, lostError, giveUpMs: 10_000 });
  const call = <Value>(operation: string, tookMs: number, effect: () => Value): Promise<Value> =>
    link.call(operation, tookMs, () => options.unchanged(effect));
  let made = 0;

  return {
    async open(start, signal): Promise<Terminal> {
      const shell = await orAborted(
        call('exec', 55, () => shells.open(start.containerId, start.session)),
        signal,
      );
      made += 1;
      const execId = `exec-${process.name}-${made}`;
      const stream = new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, taken) {
          if (shells.runs(shell)) this.push(chunk);
          if (chunk.toString().includes('exit\n')) shells.end(shell, 0);
          closeIfEnded();
          taken();
        },
      });
      // The engine closes a terminal's connection when its process is gone.
      const unlisten = engine.listen(() => closeIfEnded());
      let isClosing = false;
      const closeIfEnded = (): void => {
        if (shells.runs(shell) || stream.destroyed || isClosing) return;
        isClosing = true;
        unlisten();
        scheduler.after(options.random.next() * 300, () => process.enter(() => stream.push(null)));
      };
      shell.onEnded = closeIfEnded;
      stream.once('close', unlisten);
      async function hangUp(): Promise<void> {
        stream.destroy();
        await call('hang-up', 20, () => shells.end(shell, 129));
      }
      return {
        execId,
        stream,
        resize: () => call('resize', 2, () => undefined),
        state: () =>
          call('exec-inspect', 2, (): ProcessState => {
            const boxRuns = shell.container.state === 'running' && shell.container.run === shell.run;
            return { running: shells.runs(shell), exitCode: shell.exitCode ?? (boxRuns ? null : 137), boxRuns };
          }),
        outlives: () => Promise.resolve(false),
        hangUp,
        async leave() {
          await hangUp();
          return false;
        },
      };
    },
    resume: () => Promise.resolve(null),
    endLeft: ({ containerId, session }) => call('end-left', 60, () => shells.endMarked(containerId, session)),
    ping: () => call('ping', 1, () => undefined),
  };
}
