import { createApiClient } from '../../sdk/api-client.ts';
import { ApiRefusal, Unreachable } from '../../sdk/errors.ts';

/** The API of the controller that served this page, `{api}/console/`; the browser's cookie says who asks. */
export const api = createApiClient({ server: location.pathname.replace(/\/console\/.*$/, ''), token: null });

/** Nobody is logged in here, or not any more. */
export function isLoggedOut(error: unknown): boolean {
  return error instanceof ApiRefusal && error.problem.status === 401;
}

/** For people. The client's own words for "cannot be reached" speak of a command line. */
export function wordsOf(error: unknown): string {
  if (error instanceof ApiRefusal) return error.problem.detail;
  if (error instanceof Unreachable) return 'the controller does not answer';
  return error instanceof Error ? error.message : String(error);
}
