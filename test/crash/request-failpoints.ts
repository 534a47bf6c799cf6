import { AsyncLocalStorage } from 'node:async_hooks';
import Docker from 'dockerode';
import type { Passed } from './failpoints.ts';

/** Under which call of the port, and for whom, a request is sent. */
interface Within {
  readonly call: string;
  readonly user: string | null;
}
const within = new AsyncLocalStorage<Within>();

/** Calls that are one request, or only look: their own failpoints are those of their requests. */
const whole = new Set([
  'create',
  'start',
  'unpause',
  'rename',
  'stop',
  'remove',
  'pull',
  'list',
  'observe',
  'countExecs',
  'image',
]);

/** What is asked beside the port's calls: which engine this is, whether it lives, what happens in it. */
const beside = new Set(['GET /version', 'GET /_ping', 'GET /events', 'GET /images/…/json']);

/** Requests outside every call of the port belong to the start of the process, before it leads. */
export const startUp = 'start-up';

export function duringCall<T>(call: string, user: string | null, work: () => Promise<T>): Promise<T> {
  return within.run({ call, user }, work);
}

/**
 * A failpoint before and after every single request on the engine, whoever sends it: `before ensureHome: POST
 * /containers/create`. At the only door, so that a request which is added later has its failpoints without anybody's doing.
 */
export function failAtRequests(passed: Passed): void {
  const modem: { dial: typeof Docker.prototype.modem.dial } = Object.getPrototypeOf(new Docker().modem);
  const { dial } = modem;
  modem.dial = function dialWithFailpoints(options, callback) {
    const request = requestOf(options);
    const { call, user } = within.getStore() ?? { call: startUp, user: null };
    if (whole.has(call) || (call === startUp && beside.has(request))) {
      dial.call(this, options, callback);
      return;
    }
    passed(`before ${call}: ${request}`, user);
    dial.call(this, options, (error, answer) => {
      passed(`after ${call}: ${request}`, user);
      callback?.(error, answer);
    });
  };
}

/** The method and the path, without what differs from run to run. */
function requestOf(options: { method?: string | undefined; path: string }): string {
  const path = options.path
    .replace(/\?.*$/s, '')
    .replace(/^\/(containers|exec|networks|images)\/(?!create|json$).+?(?=\/[a-z]+$|$)/, '/$1/…');
  return `${options.method ?? 'GET'} ${path}`;
}
