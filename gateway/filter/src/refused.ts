/** Of what is told and logged: a field's name may be as long as a body, and the engine's words a proxy's whole page. */
const messageLength = 500;

/**
 * What is answered instead of being passed on: in the engine's own form, a JSON object with a `message`. Thrown by the checks,
 * and for what the engine itself refused.
 */
export class Refused extends Error {
  override name = 'Refused';
  readonly status: number;
  /** the engine's own no to something that was let through: nothing to log, and the connection goes on */
  readonly byEngine: boolean;

  constructor(message: string, status = 403, byEngine = false) {
    super(message.length <= messageLength ? message : `${message.slice(0, messageLength)}…`);
    this.status = status;
    this.byEngine = byEngine;
  }
}

/** The same words for all that is kept out here, so that a log can be searched for them. */
export function refused(what: string, why: string): Refused {
  return new Refused(`the filtering socket refuses ${what}: ${why}`);
}

/** The engine does not answer, or not as agreed: the client's connection is cut, as the engine's own would be. */
export class EngineSilent extends Error {
  override name = 'EngineSilent';
}
