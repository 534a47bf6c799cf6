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
