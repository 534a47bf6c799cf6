/**
 * What can go wrong outside, as values. Inside a pass a fault is a fact of the next one; exceptions are for bugs and aborts.
 * A 404 or a 409 is never a conclusion: it only says "look again", so `kind` keeps them apart from real failures.
 */
export type FaultKind =
  | 'not-found' // 404
  | 'conflict' // 409: name taken, removal in progress, not in the right state
  | 'invalid' // 400 and other 4xx: the engine refuses the request itself
  | 'failed' // 5xx: the engine tried and could not
  | 'timeout' // no answer in time; the effect is unknown
  | 'unreachable'; // no connection; the effect is unknown

export interface Fault {
  readonly kind: FaultKind;
  /** the operation, as the port names it: `create`, `start`, `probe`, … */
  readonly operation: string;
  /** HTTP status of the engine, where it answered */
  readonly status: number | null;
  /** the engine's own words, shortened */
  readonly message: string;
}

/** Thrown by the adapters of a container engine, and only by them. */
export class EngineError extends Error {
  readonly fault: Fault;

  constructor(fault: Fault, options?: ErrorOptions) {
    super(`${fault.operation}: ${fault.message}`, options);
    this.name = 'EngineError';
    this.fault = fault;
  }
}

/** Exit code of a process whose configuration was refused (`EX_CONFIG` of sysexits.h). */
export const exitConfig = 78;

/** An error whose message is meant for the person who started the process: printed as one line, without a stack. */
export class StartError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
    this.exitCode = exitCode;
  }
}

/** Node's own name of what happened, such as `ENOENT`; null where it has none. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
