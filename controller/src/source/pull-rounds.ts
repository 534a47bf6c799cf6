import type { BoxClasses } from '#shared/box-class.ts';
import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import type { ReconcilerMode } from '#shared/operator-schemas.ts';
import type { ImagePull, PullReport } from '#shared/rollout.ts';
import type { RolloutStore } from '#shared/rollout-store.ts';
import type { Operations } from '../reconcile/operations.ts';

/** How often a round that is under way is told to Redis, for who waits for it. */
const reportEveryMs = 1_000;

/**
 * Pulls the images of all classes again, once each time that an operator asks for it, one after the other.
 *
 * INVARIANTS
 * - Nothing is pulled before Redis took the round's first report: only of the leader, and only of the round that is asked for.
 * - One round at a time. One that a crash or a new leader cut off is begun again by the next who looks; one that has ended is not.
 */
export class PullRounds {
  private readonly store: Pick<RolloutStore, 'read' | 'reportPulls'>;
  private readonly operations: Pick<Operations, 'pullOf' | 'refresh'>;
  private readonly classes: BoxClasses;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly token: string;
  private readonly signal: AbortSignal;
  private readonly onEnd: () => void;
  private isRunning = false;

  constructor(options: {
    store: Pick<RolloutStore, 'read' | 'reportPulls'>;
    operations: Pick<Operations, 'pullOf' | 'refresh'>;
    classes: BoxClasses;
    clock: Clock;
    log: Logger;
    token: string;
    signal: AbortSignal;
    /** other images may be there now: everybody is to be looked at */
    onEnd: () => void;
  }) {
    this.store = options.store;
    this.operations = options.operations;
    this.classes = options.classes;
    this.clock = options.clock;
    this.log = options.log;
    this.token = options.token;
    this.signal = options.signal;
    this.onEnd = options.onEnd;
  }

  /** Begins what was asked for, unless a pause forbids it; what fails here is tried again at the next look. */
  look(mode: ReconcilerMode): void {
    if (mode === 'pause' || this.isRunning || this.signal.aborted) return;
    this.isRunning = true;
    void this.once()
      .catch((error: unknown) => {
        if (!this.signal.aborted) this.log.warn({ error }, 'a round of pulls was cut off; it is begun again');
      })
      .finally(() => {
        this.isRunning = false;
      });
  }

  private async once(): Promise<void> {
    const { round } = await this.store.read();
    if (round === null || round.ended) return;
    const { askedAt, by } = round;
    const pulls = pullsOf(this.classes);
    const report = (ended: boolean): PullReport => ({ askedAt, ended, images: [...pulls.values()] });
    for (const { image, state } of pulls.values()) {
      if (state === 'kept') continue;
      pulls.set(image, { image, state: 'pulling', progress: null, message: '' });
      // The permission to begin, and for each image again: another may lead by now.
      if (!(await this.store.reportPulls(this.token, report(false)))) return;
      pulls.set(image, await this.pull(image, () => report(false), pulls));
      if (this.signal.aborted) return;
    }
    if (!(await this.store.reportPulls(this.token, report(true)))) return;
    const failed = [...pulls.values()].filter((pull) => pull.state === 'failed').map(({ image }) => image);
    this.log.info({ by, images: [...pulls.keys()], failed }, 'the images of all classes were pulled again');
    this.onEnd();
  }

  /** To its end, with its progress told meanwhile. */
  private async pull(image: string, report: () => PullReport, pulls: Map<string, ImagePull>): Promise<ImagePull> {
    let isOver = false;
    let stopTelling = (): void => {};
    const tell = (): void => {
      const progress = this.operations.pullOf(image, null)?.progress ?? null;
      if (isOver || this.signal.aborted) return;
      pulls.set(image, { image, state: 'pulling', progress, message: '' });
      // Of progress, the next report tells again.
      void this.store.reportPulls(this.token, report()).catch(() => {});
      stopTelling = this.clock.after(reportEveryMs, tell);
    };
    stopTelling = this.clock.after(reportEveryMs, tell);
    try {
      const fault = await this.operations.refresh(image);
      const state = fault === null ? 'pulled' : 'failed';
      return { image, state, progress: null, message: fault?.message ?? '' };
    } finally {
      isOver = true;
      stopTelling();
    }
  }
}

/** Each image once. Where one class may pull it, it is pulled for those that may not, too. */
function pullsOf(classes: BoxClasses): Map<string, ImagePull> {
  const pulls = new Map<string, ImagePull>();
  for (const { image, pullPolicy } of classes.values()) {
    if (pullPolicy === 'Never' && pulls.has(image)) continue;
    const state = pullPolicy === 'Never' ? 'kept' : 'waiting';
    pulls.set(image, { image, state, progress: null, message: '' });
  }
  return pulls;
}
