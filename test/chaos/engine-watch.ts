import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { label } from '#shared/identity.ts';
import type { World } from './breaking.ts';
import type { ControllerLog } from './controller-log.ts';
import type { LeaseHistory } from './lease-history.ts';
import { readLines } from './read-lines.ts';

const Death = z.object({
  timeNano: z.number(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()) }),
});
const lookEveryMs = 500;
/** A line of the log may come so much later than the event that it explains. */
const judgeAfterMs = 5_000;
/** A drain takes the stop's grace, and waits where the engine or the wire to it is broken. */
const drainWithinMs = 180_000;
/** Around an engine that was stopped: its last events, and those of its first look. */
const engineMarginMs = 5_000;

/** Looks at the engine itself: how many boxes a user has, and why each of them ended. */
export class EngineWatch {
  readonly #world: World;
  readonly #log: ControllerLog;
  readonly #leases: LeaseHistory;
  #deaths: { readonly id: string; readonly user: string; readonly atMs: number }[] = [];

  constructor(world: World, log: ControllerLog, leases: LeaseHistory) {
    this.#world = world;
    this.#log = log;
    this.#leases = leases;
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#look(signal), this.#follow(signal)]);
    this.#judge(Number.POSITIVE_INFINITY);
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { docker, history } = this.#world;
    while (!signal.aborted) {
      await wait(lookEveryMs, null, { signal }).catch(() => {});
      this.#judge(Date.now() - judgeAfterMs);
      const filters = { label: [`${label.role}=box`] };
      const boxes = await docker.listContainers({ filters, abortSignal: AbortSignal.timeout(5_000) }).catch(() => null);
      if (boxes === null) continue;
      const running = new Map<string, number>();
      for (const { Labels } of boxes) {
        const user = Labels[label.user] ?? '';
        running.set(user, (running.get(user) ?? 0) + 1);
      }
      for (const [user, count] of running) {
        if (count > 1) history.violated(`1: ${count} boxes of ${user} run`);
        else history.checked('one running box a user (looks at a user)');
      }
    }
  }

  /** Events are lost while the engine is down; so are the boxes then, or they live on. */
  async #follow(signal: AbortSignal): Promise<void> {
    const filters = JSON.stringify({ type: ['container'], event: ['die'], label: [`${label.role}=box`] });
    while (!signal.aborted) {
      const { docker } = this.#world;
      const stream = await docker.getEvents({ filters, abortSignal: signal }).catch(() => null);
      if (stream instanceof Readable) {
        const onLine = (line: string): void => {
          const { timeNano, Actor } = Death.parse(JSON.parse(line));
          this.#deaths.push({ id: Actor.ID, user: Actor.Attributes[label.user] ?? '', atMs: timeNano / 1_000_000 });
        };
        await readLines(stream, onLine, signal);
      }
      await wait(100, null, { signal }).catch(() => {});
    }
  }

  #judge(untilMs: number): void {
    const due = this.#deaths.filter((death) => death.atMs <= untilMs);
    this.#deaths = this.#deaths.filter((death) => death.atMs > untilMs);
    const { history, hands } = this.#world;
    for (const { id, user, atMs } of due) {
      const isLost = hands.engineLost.some(
        (lost) => lost.fromMs <= atMs && (lost.untilMs === null || atMs <= lost.untilMs + engineMarginMs),
      );
      if (hands.killed.has(id) || isLost) {
        history.checked('a box ended by the fault that was made, or by the engine');
      } else if (this.#log.drainOf(user, atMs - drainWithinMs, atMs + judgeAfterMs) !== null) {
        // Whether it was right is judged where the drain is.
        history.checked('a box ended by a drain that the log tells of');
      } else {
        const held = this.#leases.isHeld(user, atMs) ? 'while a lease held it' : 'with no lease on it';
        history.violated(`6: the box of ${user} ended ${held}, and nobody says why`, atMs);
      }
    }
  }
}
