import type { BoxStore } from '#shared/box-store.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import type { InstallationId, UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { ModeView, ReconcilerMode } from '#shared/operator-schemas.ts';
import type { ContainerView } from '../box/observed.ts';
import { isLive, isOurs } from '../box/ownership.ts';
import { type OnLoopEvent, unheard } from '../loop-events.ts';
import type { Capacity } from '../capacity/capacity.ts';
import type { WorkQueue } from '../queue/work-queue.ts';
import type { Pacer } from '../reconcile/pacer.ts';
import type { Reconciler } from '../reconcile/reconcile.ts';
import type { Trust } from '../reconcile/trust.ts';
import type { BoxRuntime } from '../runtime/port.ts';
import type { RunningBox } from '../sweep/marks.ts';
import { containersByUser } from './by-user.ts';

/** While the engine's events do not come, everything is looked at this often. */
const withoutEventsEveryMs = 5_000;
/** Who the scripts say has set a mode that could not be read. */
const repairer = 'spoonbox';

/**
 * Looks at everything from time to time: one list of containers, and the users of Redis. Events and wake-ups only make it
 * sooner; whatever they lose is found here.
 *
 * INVARIANT: a list is used for a user only if nothing was heard of that user since before the list was asked for.
 */
export class Resync {
  private readonly runtime: BoxRuntime;
  private readonly store: BoxStore;
  private readonly installation: InstallationId;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly everyMs: number;
  private readonly pacer: Pacer;
  private readonly capacity: Capacity;
  private readonly trust: Trust;
  private readonly reconciler: Reconciler;
  private readonly queue: WorkQueue<UserName>;
  private readonly onRunning: (boxes: readonly RunningBox[]) => void;
  private readonly onMode: (mode: ReconcilerMode) => void;
  private readonly onEvent: OnLoopEvent;
  private streamIsUp = false;
  private interrupt: AbortController | null = null;
  private again = false;
  /** for the log alone: every pass reads the mode itself */
  private toldMode: ModeView | null = null;
  private endedAtMs: number | null = null;
  private heardSince: Set<UserName> | null = null;

  constructor(options: {
    runtime: BoxRuntime;
    store: BoxStore;
    installation: InstallationId;
    clock: Clock;
    log: Logger;
    everyMs: number;
    pacer: Pacer;
    capacity: Capacity;
    trust: Trust;
    reconciler: Reconciler;
    queue: WorkQueue<UserName>;
    /** every list: the boxes of ours that run */
    onRunning: (boxes: readonly RunningBox[]) => void;
    /** at each look: what an operator lets the reconciler do */
    onMode?: (mode: ReconcilerMode) => void;
    onEvent?: OnLoopEvent;
  }) {
    this.runtime = options.runtime;
    this.store = options.store;
    this.installation = options.installation;
    this.clock = options.clock;
    this.log = options.log;
    this.everyMs = options.everyMs;
    this.pacer = options.pacer;
    this.capacity = options.capacity;
    this.trust = options.trust;
    this.reconciler = options.reconciler;
    this.queue = options.queue;
    this.onRunning = options.onRunning;
    this.onMode = options.onMode ?? (() => {});
    this.onEvent = options.onEvent ?? unheard;
  }

  /** Something may have been missed: look at everything now. */
  soon(): void {
    this.again = true;
    this.interrupt?.abort();
  }

  streamStands(): void {
    this.streamIsUp = true;
    this.soon();
  }

  streamBroke(reason: string): void {
    if (this.streamIsUp) this.log.warn({ reason }, "the engine's events broke off; looking at everything more often");
    this.streamIsUp = false;
    this.soon();
  }

  /** Of this user something was heard: a list that is under way does not count for it. */
  heard(user: UserName): void {
    this.heardSince?.add(user);
  }

  lastAgoMs(): number | null {
    return this.endedAtMs === null ? null : this.clock.monotonicMs() - this.endedAtMs;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.again = false;
      try {
        await this.once(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.onEvent({ type: 'resync-failed' });
        this.log.warn({ error }, 'looking at everything failed; trying again');
      }
      if (this.again) continue;
      this.interrupt = new AbortController();
      const waitMs = this.streamIsUp ? this.everyMs : Math.min(withoutEventsEveryMs, this.everyMs);
      await sleep(this.clock, waitMs, AbortSignal.any([signal, this.interrupt.signal])).catch(() => {});
      this.interrupt = null;
    }
  }

  private async once(signal: AbortSignal): Promise<void> {
    const beganAtMs = this.clock.monotonicMs();
    let users: ReadonlySet<UserName> = new Set();
    this.heardSince = new Set();
    this.runtime.forgetImages();
    let mode: ReconcilerMode;
    try {
      const amnesty = this.trust.amnesty();
      mode = await this.mode();
      this.onMode(mode);
      const known = new Set(await this.store.users());
      const containers = await this.listed(known, mode, signal);
      const byUser = containersByUser(containers, known, this.installation);
      const running = [...byUser].filter(([, views]) =>
        views.some((view) => isOurs(view, this.installation) && isLive(view)),
      );
      this.pacer.observe(running.length);
      this.trust.listed(
        running.map(([user]) => user),
        amnesty,
      );
      this.onRunning(
        running.flatMap(([user, views]) =>
          views
            .filter((view) => isOurs(view, this.installation) && view.state === 'running')
            .map(({ id }) => ({ user, id })),
        ),
      );
      users = new Set([...known, ...byUser.keys()]);
      this.capacity.listed(users);
      for (const user of users) {
        if (!this.heardSince.has(user)) this.reconciler.seen(user, byUser.get(user) ?? []);
        this.queue.add(user, 'housekeeping');
      }
    } finally {
      this.heardSince = null;
    }
    if (mode !== 'pause') await this.runtime.removeLeftHelpers(signal);
    this.endedAtMs = this.clock.monotonicMs();
    this.onEvent({ type: 'resynced', tookMs: this.endedAtMs - beganAtMs, users });
  }

  /** What an operator lets the reconciler do now; a change is logged, and one that was damage is warned of. */
  private async mode(): Promise<ReconcilerMode> {
    const { mode } = await this.store.mode();
    if (this.toldMode !== null && (this.toldMode.mode !== mode.mode || this.toldMode.since !== mode.since)) {
      this.log[mode.by === repairer ? 'warn' : 'info']({ ...mode }, "the reconciler's mode was set");
    }
    this.toldMode = mode;
    this.onEvent({ type: 'mode-read', mode: mode.mode });
    return mode.mode;
  }

  /** Where the engine does not answer, everybody's pass finds that out and says so in the status. */
  private async listed(
    known: ReadonlySet<UserName>,
    mode: ReconcilerMode,
    signal: AbortSignal,
  ): Promise<ContainerView[]> {
    try {
      // A network that cannot be made keeps new boxes from starting, not the others from being looked at.
      const network = mode === 'pause' ? Promise.resolve() : this.runtime.ensureNetwork(signal);
      await network.catch((error: unknown) => {
        signal.throwIfAborted();
        this.log.warn({ error }, 'the network of the boxes could not be made');
      });
      return await this.runtime.list(signal);
    } catch (error) {
      for (const user of known) this.queue.add(user, 'housekeeping');
      throw error;
    }
  }
}
