import type { History } from './history.ts';
import type { Options } from './options.ts';

/** From so many minutes on, a run with all kinds of faults has met every one of these. */
const metWithinMinutes = 10;

const promises = [
  'a box ended by a drain that the log tells of',
  'a box ended by the fault that was made, or by the engine',
  'a lease is taken or renewed',
  'a process that is told to stop ends by itself, with exit code 0',
  'a terminal that ends says why, or its connection was broken',
  'an idle reap met nobody who counted on the box',
  'no container and no user is left over',
  'no lease and no record of a session is left over',
  'no network is left over',
  'no process and no connection is left over',
  'no shell outlives its terminal (terminals)',
  'one running box a user (looks at a user)',
  'only who leads commits',
  'the home keeps what was written (lines)',
  'what is typed comes back once and in order (lines)',
  'who holds a box has it, and terminals open, once a fault is over',
] as const;

/** A promise that was never looked at is not kept, but unwatched: a line of a log was renamed, say. */
export function checkLooked(history: History, options: Pick<Options, 'minutes' | 'only'>): void {
  if (options.minutes < metWithinMinutes || options.only !== undefined) return;
  for (const promise of promises) {
    if (!history.promises.has(promise)) history.violated(`not once was it looked at whether ${promise}`);
  }
}
