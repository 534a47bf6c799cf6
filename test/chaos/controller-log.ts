import { z } from 'zod';
import type { History } from './history.ts';

const Pass = z.object({ time: z.string(), user: z.string(), command: z.string(), rule: z.string() });
/** Lines of a controller that are looked at in one go; more do not come between two looks. */
const linesAtOnce = 2_000;

/** What the controllers say that they did. In a chaos run nobody but idleness reaps. */
export class ControllerLog {
  private readonly history: History;
  private readonly known = new Set<string>();

  constructor(history: History) {
    this.history = history;
  }

  read(lines: readonly string[]): void {
    for (const line of lines.slice(-linesAtOnce)) {
      if (!line.includes('"command":"stop"') || this.known.has(line)) continue;
      this.known.add(line);
      const pass = Pass.safeParse(JSON.parse(line));
      if (!pass.success || !pass.data.rule.startsWith('nobody needs the box')) continue;
      this.history.reaped(pass.data.user, Date.parse(pass.data.time) - performance.timeOrigin);
    }
  }
}
