import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { codeOf } from '#shared/faults.ts';

/** How the test and the controller that is to die speak with each other: two files, each written by one of them. */

/** Where the next controller, or the one that runs, is to die. Without one it lives, and nothing is written. */
export const Order = z.object({
  /** a new one begins to count anew */
  id: z.string(),
  user: z.string(),
  /** failpoints that are about nobody, and count for this user */
  globals: z.array(z.string()),
  /** null = nowhere: only what is passed is recorded */
  failpoint: z.string().nullable(),
  /** the how manieth passing of it, from 1 */
  nth: z.number(),
});
export type Order = z.infer<typeof Order>;

/** `ensureHome` of `before ensureHome` and of `before ensureHome: POST /containers/create`. */
export function callOf(failpoint: string): string {
  return failpoint.replace(/^\w+ /, '').replace(/: .*$/, '');
}

/** Of a single request within a call. */
export function isOfRequest(failpoint: string): boolean {
  return failpoint.includes(': ');
}

export const ordersVariable = 'CRASH_ORDERS';
export const journalVariable = 'CRASH_JOURNAL';

/** Orders for several users at once; whole, or not at all, for a reader in another process. */
export function writeOrders(file: string, orders: readonly Order[]): void {
  if (orders.length === 0) {
    rmSync(file, { force: true });
    return;
  }
  writeFileSync(`${file}.new`, JSON.stringify(orders));
  renameSync(`${file}.new`, file);
}

export function readOrders(file: string): Order[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
  return z.array(Order).parse(JSON.parse(text));
}

/** One passing: by which order's count, and whether it was the last thing that the process did. */
export const Passing = z.object({ order: z.string(), failpoint: z.string(), nth: z.number(), died: z.boolean() });
export type Passing = z.infer<typeof Passing>;

/** Written before the process goes on, so that nothing is lost with it. */
export function writePassing(file: string, passing: Passing): void {
  appendFileSync(file, `${JSON.stringify(passing)}\n`);
}

export function readPassings(file: string): Passing[] {
  const lines = readFileSync(file, { encoding: 'utf8', flag: 'a+' }).split('\n');
  return lines.filter((line) => line !== '').map((line) => Passing.parse(JSON.parse(line)));
}
