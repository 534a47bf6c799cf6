import { z } from 'zod';
import type { History } from './history.ts';
import type { LeaseHistory } from './lease-history.ts';

const Line = z.object({ level: z.string(), msg: z.string(), time: z.string() });
const Pass = z.object({ user: z.string(), command: z.string(), rule: z.string() });
const endings: ReadonlySet<string> = new Set(['stop', 'remove']);
/** A commit is told of in the log after it: by so much at most, where the process was not stopped in between. */
const toldWithinMs = 2_000;

export interface Drain {
  readonly user: string;
  readonly atMs: number;
  readonly rule: string;
}

/** What the controllers say that they did. */
export class ControllerLog {
  readonly drains: Drain[] = [];
  readonly #history: History;
  readonly #leases: LeaseHistory;

  constructor(history: History, leases: LeaseHistory) {
    this.#history = history;
    this.#leases = leases;
  }

  read(part: string, text: string): void {
    if (!text.startsWith('{')) {
      this.#history.noted(`${part.replace(/-\d$/, '')} wrote: ${text.slice(0, 200)}`);
      return;
    }
    const json: unknown = JSON.parse(text);
    const { level, msg, time } = Line.parse(json);
    if (level === 'error' || level === 'fatal') {
      this.#history.noted(`${part.replace(/-\d$/, '')} logged an error: ${msg}`);
    }
    if (msg !== 'pass') return;
    const pass = Pass.parse(json);
    if (!endings.has(pass.command)) return;
    const atMs = Date.parse(time);
    this.drains.push({ user: pass.user, atMs, rule: pass.rule });
    this.#history.noted(`drain step ${pass.command}: ${pass.rule}`);
    if (pass.command === 'stop' && pass.rule.startsWith('nobody needs the box')) {
      this.#leases.reapedForIdleness(pass.user, atMs - toldWithinMs, atMs);
    }
  }

  /** The last drain of this user that was told of in this time. */
  drainOf(user: string, fromMs: number, toMs: number): Drain | null {
    return this.drains.findLast((drain) => drain.user === user && drain.atMs >= fromMs && drain.atMs <= toMs) ?? null;
  }
}
