import type { Duplex } from 'node:stream';
import type { Persist } from '#shared/lease.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import type { Environment } from '../environment.ts';

export interface StartTerminal {
  readonly containerId: string;
  /** marks every process of the terminal: `SPOONBOX_SESSION` in its environment */
  readonly session: string;
  readonly size: TerminalSize;
  /** below the home, null = the home itself; where it is missing, the shell says so and starts in the home */
  readonly directory: string | null;
  /** of the user's vault */
  readonly environment: Environment;
  /** `tmux`: where the image has it, the shell runs under a tmux server of its own and outlives this connection */
  readonly persist: Persist;
}

/** How a terminal stands with its process. */
export interface ProcessState {
  /** true from the start on, also while the engine has not made the process yet */
  readonly running: boolean;
  /** null while it runs, and where the engine does not know */
  readonly exitCode: number | null;
  /** false when the container does not run any more, or is gone: the exit code then means nothing */
  readonly boxRuns: boolean;
}

/** A shell on a terminal in a box. */
export interface Terminal {
  readonly execId: string;
  /**
   * The bytes of the terminal, both ways, with back-pressure: `pause()` holds the program, `write() === false` means wait
   * for `drain`. Never `end()` it, which ends the output too. It closes when the shell ended, or the box.
   */
  readonly stream: Duplex;
  /** Waits for a process that is still being made. Rejects with an EngineError; a terminal that has ended is no error. */
  resize(size: TerminalSize): Promise<void>;
  state(): Promise<ProcessState>;
  /** Whether the shell, which outlives its connection, is there for `resume`. Rejects with an EngineError. */
  outlives(): Promise<boolean>;
  /**
   * Ends the terminal as if its window was closed: a real hang-up, verified; where the shell survives that, whatever carries
   * the session's mark is signalled, and killed after a grace. Programs that were told to outlive a hang-up do. Resolves
   * when the shell is gone, or the engine cannot be reached: then it is tried again until it can. Rejects with an EngineError
   * where the engine says that it cannot be ended. Closes the stream.
   * `anothers`: the session is another gateway's now, whose shell carries the same mark. Then nothing is signalled by it; what
   * outlives the hang-up is found when the session has ended.
   */
  hangUp(whose?: 'ours' | 'anothers'): Promise<void>;
  /**
   * Lets go of a shell that outlives its connection, and closes the stream: resolves true, it goes on for `resume`. One that
   * does not is ended as by `hangUp`: false.
   */
  leave(): Promise<boolean>;
}

/**
 * All that the gateway does with a container engine: terminals in containers that run. It never changes a container.
 * Rejections are EngineErrors; `not-found` and `conflict` mean "not in this container, look again".
 */
export interface BoxExec {
  /** Starts a login shell on a terminal that has its size before the first byte. */
  open(start: StartTerminal, signal: AbortSignal): Promise<Terminal>;
  /**
   * Goes on with the shell of a `persist: tmux` session that its gateway has left or lost. The stream begins with the last 2,000
   * lines and the screen. null: there is no such shell (any more); what else carries the session's mark has then been ended.
   */
  resume(start: StartTerminal, signal: AbortSignal): Promise<Terminal | null>;
  /**
   * Ends what carries a session's mark, but for programs that were made to outlive it: a shell whose gateway is gone. Resolves
   * when it is ended, or the engine cannot be reached: then it is tried again until it can, and no shell of that session is
   * opened there before. Rejects with an EngineError where the engine says that it cannot be ended.
   */
  endLeft(of: { readonly containerId: string; readonly session: string }): Promise<void>;
  /** Rejects when the engine does not answer. */
  ping(): Promise<void>;
}
