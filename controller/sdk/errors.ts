import type { LeaseEndReason } from '#shared/lease.ts';
import type { Problem } from '#shared/problem.ts';

/** Whatever the client of the API throws, but for aborts: one sentence for people that says what, why, and what to do. */
export class SpoonboxError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A refusal of the API or the gateway, in its own words; decide by `problem.code`. */
export class ApiRefusal extends SpoonboxError {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** Nobody answers there, or the connection was lost: what was asked for may have happened all the same. */
export class Unreachable extends SpoonboxError {}

/** A name that no URL can carry: nothing was sent. */
export class InvalidName extends SpoonboxError {}

/** It is not known where Spoonbox is, or what to show it. */
export class NoSettings extends SpoonboxError {}

/** Why a lease does not hold its box any more; `refused`: it could not be renewed or taken again, see `cause`. */
export type LeaseLostReason = LeaseEndReason | 'refused';

/** A lease that was held is not there any more; it never comes back. */
export class LeaseLost extends SpoonboxError {
  readonly reason: LeaseLostReason;

  constructor(message: string, reason: LeaseLostReason, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The box was not ready in time; it may still become so. */
export class NotReady extends SpoonboxError {}

/** A command was not run to its end, or nobody knows how it ended; it does not run any more, or is being ended. */
export class CommandLost extends SpoonboxError {
  /** as the gateway has it: `Reaped`, `BoxGone`, …; `ConnectionLost` and `StreamFailed` are told here */
  readonly reason: string;

  constructor(message: string, reason: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** A command wrote more than is collected; it is being ended. */
export class TooMuchOutput extends SpoonboxError {}
