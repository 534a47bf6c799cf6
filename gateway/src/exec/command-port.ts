import type { Duplex } from 'node:stream';
import type { Environment } from '../environment.ts';
import type { ProcessState } from './port.ts';

export interface StartCommand {
  readonly containerId: string;
  /** what its processes carry as `SPOONBOX_SESSION`, and are ended by; unique */
  readonly mark: string;
  readonly command: readonly string[];
  /** of the user's vault */
  readonly environment: Environment;
  /** false: the command reads an empty input */
  readonly stdin: boolean;
  /** below the home, null = the home itself; where it is missing, the command is not run: exit code 126, and a word on stderr */
  readonly directory: string | null;
}

/** A command that runs in a box, without a terminal. */
export interface RunningCommand {
  readonly execId: string;
  /**
   * Written: the command's input; `end()` is its end. Read: its output in the engine's frames, see `OutputFrames`. Ends when
   * the command has ended, or its box. Once it has ended, it must be read on: the engine keeps the rest for 2 s.
   */
  readonly stream: Duplex;
  /** Rejects when the engine does not answer. */
  state(): Promise<ProcessState>;
  /** Ends the command and whatever it has started: hang-up, then kill. Nothing is to be ended where it has exited. */
  end(): Promise<void>;
}

export interface BoxCommands {
  /**
   * Runs a command, at most once. Rejects with an EngineError: `not-found` and `conflict` where it was certainly not run,
   * because the box does not run (any more). What was started when `signal` aborts is ended before it rejects.
   */
  start(start: StartCommand, signal: AbortSignal): Promise<RunningCommand>;
}
