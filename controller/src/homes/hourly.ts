import type { BoxStore } from '#shared/box-store.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import type { InstallationId } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { HomeUsage } from '#shared/home-usage.ts';
import { isLive, ownershipOf } from '../box/ownership.ts';
import type { BoxRuntime } from '../runtime/port.ts';
import { containersByUser } from '../source/by-user.ts';
import type { HomeStore } from '../store/home-store.ts';
import type { HomeMeter, MeteredBox } from './meter.ts';

/** The home of a box that runs is looked at so often where nobody asks. */
export const hourMs = 3_600_000;
/** A term that begins has better to do. */
export const firstAfterMs = 60_000;
/** Between two looks at which are due. */
export const roundEveryMs = 5 * 60_000;

const notTold = 'what homes take up could not be told; it is tried again';

export interface HourlyOptions {
  readonly runtime: Pick<BoxRuntime, 'list'>;
  readonly store: Pick<BoxStore, 'mode'>;
  readonly homes: Pick<HomeStore, 'all'>;
  readonly meter: Pick<HomeMeter, 'look'>;
  readonly installation: InstallationId;
  readonly clock: Clock;
  readonly log: Logger;
  /** what is known of all homes, at every round */
  readonly onKnown: (homes: readonly HomeUsage[]) => void;
}

/**
 * The leader's: looks at the homes of all boxes that run, once an hour each, until aborted. While the reconciler is paused it touches no
 * box. A round that failed is logged, and the next one comes.
 */
export async function measureHourly(options: HourlyOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options;
  for (let waitMs: number = firstAfterMs; ; waitMs = roundEveryMs) {
    await sleep(clock, waitMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      await round(options, signal);
    } catch (error) {
      if (!signal.aborted) log.warn({ error }, notTold);
    }
  }
}

async function round(options: HourlyOptions, signal: AbortSignal): Promise<void> {
  const { runtime, store, homes, meter, installation, log, onKnown } = options;
  // Who does not lead any more tells nothing: nobody would take it back.
  const tell = async (): Promise<void> => {
    const known = await homes.all();
    if (!signal.aborted) onKnown(known);
  };
  if ((await store.mode()).mode.mode !== 'pause') {
    const views = containersByUser(await runtime.list(signal), new Set(), installation);
    const boxes = [...views].flatMap(([user, containers]): MeteredBox[] => {
      const { box } = ownershipOf(user, installation, containers);
      return box !== null && isLive(box) ? [{ user, container: box }] : [];
    });
    // Nobody waits for it: a term ends at once, and a look that is under way is as good for the next leader.
    void meter
      .look(boxes, hourMs)
      .then(tell)
      .catch((error: unknown) => log.warn({ error }, notTold));
  }
  await tell();
}
