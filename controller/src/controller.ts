import type { BoxClasses } from '#shared/box-class.ts';
import type { BoxStore } from '#shared/box-store.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import type { Limits } from '#shared/config.ts';
import type { InstallationId, UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { RolloutStore } from '#shared/rollout-store.ts';
import type { ToolStore } from '#shared/tools.ts';
import type { LoopHealth } from '#shared/operator-schemas.ts';
import { Capacity } from './capacity/capacity.ts';
import type { Term } from './leader.ts';
import type { OnLoopEvent } from './loop-events.ts';
import { LoopWatch } from './loop-health.ts';
import { TokenBucket } from './queue/token-bucket.ts';
import { WorkQueue, type WorkQueueStats } from './queue/work-queue.ts';
import { Executor } from './reconcile/executor.ts';
import { Operations } from './reconcile/operations.ts';
import { Pacer } from './reconcile/pacer.ts';
import type { Sources } from './reconcile/gather.ts';
import type { Vantage } from './reconcile/planner.ts';
import { Reconciler } from './reconcile/reconcile.ts';
import { ToolProofs } from './reconcile/tool-proofs.ts';
import { Trust } from './reconcile/trust.ts';
import type { BoxRuntime } from './runtime/port.ts';
import { PullRounds } from './source/pull-rounds.ts';
import { Resync } from './source/resync.ts';
import { Sweep } from './sweep/sweep.ts';
import type { HomeVaults } from './store/home-vaults.ts';
import type { LeaderStore, LeadReply } from './store/leader-store.ts';
import type { StatusStore } from './store/status-store.ts';

export interface ControllerOptions {
  readonly store: BoxStore;
  readonly statusStore: StatusStore;
  readonly leaderStore: LeaderStore;
  readonly rolloutStore: RolloutStore;
  readonly toolStore: ToolStore;
  readonly runtime: BoxRuntime;
  readonly vaults: HomeVaults;
  readonly classes: BoxClasses;
  readonly installation: InstallationId;
  /** `{workdir}/homes` as the Docker host sees it */
  readonly homesDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly workers: number;
  readonly mutationsPerS: number;
  readonly resyncMs: number;
  /** what all boxes together may take */
  readonly limits: Limits;
  /** how long gateways keep a session that nobody is attached to */
  readonly terminalGraceMs: number;
  /** images that this process pulled, in any of its terms */
  readonly pulled: Set<string>;
  /** the token is refused as the leader's */
  readonly onNotLeader: (reason: string) => void;
  /** what the loop tells of itself; without it, nobody listens */
  readonly onEvent?: OnLoopEvent;
}

/** What of a term is worth showing. */
export interface TermStats extends WorkQueueStats {
  readonly amnesty: string | null;
  readonly lastResyncAgoMs: number | null;
}

/** A command may follow its commit by at most this share of the leader's TTL. */
const fenceShare = 0.5;
/** So long a pass is put off for which nobody waits: a shell starts meanwhile. */
const laterMs = 500;

/** The reconcile loop of one term: wires queue, sources, reconciler and long work, and ends with the term. */
export class TermController {
  private readonly queue: WorkQueue<UserName>;
  private readonly trust: Trust;
  private readonly resync: Resync;
  private readonly rounds: PullRounds;
  private readonly sweep: Sweep;
  private readonly pacer: Pacer;
  private readonly watch: LoopWatch;
  private readonly options: ControllerOptions;
  private readonly term: Term;
  private readonly reconciler: Reconciler;
  private readonly sources: Sources;

  constructor(options: ControllerOptions, term: Term) {
    this.options = options;
    this.term = term;
    const { clock, log, runtime, store } = options;
    const { signal, token } = term;
    const pacer = new Pacer(clock);
    this.pacer = pacer;
    this.watch = new LoopWatch(clock);
    const onEvent: OnLoopEvent = (event) => {
      this.watch.hear(event);
      options.onEvent?.(event);
    };
    this.trust = new Trust({
      ...{ store: options.leaderStore, clock, log, token, onEvent },
      onAmnesty: () => this.resync.soon(),
    });
    const operations = new Operations({
      runtime,
      signal,
      nowMs: () => clock.monotonicMs(),
      onProgress: (user) => this.queue.add(user, 'person'),
      onEnd: (user, outcome) => {
        this.reconciler.ended(user, outcome);
        this.queue.add(user, 'person');
      },
      onEvent,
      pulled: options.pulled,
    });
    const capacity = new Capacity({
      limits: options.limits,
      onCall: (user) => this.queue.add(user, 'person'),
      onEvent,
    });
    const { classes, installation, homesDir } = options;
    this.sources = { runtime, operations, classes, installation, homesDir };
    const tools = new ToolProofs({ runtime, store: options.toolStore, clock, log, token, signal });
    this.reconciler = new Reconciler({
      onReady: (boxClass, box) => tools.look(boxClass, box),
      store,
      statusStore: options.statusStore,
      sources: this.sources,
      executor: new Executor({
        runtime,
        operations,
        vaults: options.vaults,
        clock,
        fenceMs: term.ttlMs * fenceShare,
        signal,
        onEvent,
      }),
      bucket: new TokenBucket({ clock, perSecond: options.mutationsPerS, burst: options.mutationsPerS }),
      pacer,
      capacity,
      trust: this.trust,
      clock,
      log,
      token,
      signal,
      onNotLeader: options.onNotLeader,
      onEvent,
    });
    this.queue = new WorkQueue({
      clock,
      workers: options.workers,
      process: (user) => this.reconciler.pass(user),
      onThrow: (user, error, retryInMs) => {
        if (!signal.aborted) log.error({ user, error, retryInMs }, 'a pass threw');
      },
      onEvent,
    });
    this.sweep = new Sweep({
      ...{ store, runtime, clock, log },
      trustedForMs: () => this.trust.trustedForMs(),
      graceMs: options.terminalGraceMs,
    });
    this.rounds = new PullRounds({
      ...{ store: options.rolloutStore, operations, classes, clock, log, token, signal },
      onEnd: () => this.resync.soon(),
    });
    this.resync = new Resync({
      runtime,
      store,
      installation: options.installation,
      clock,
      log,
      everyMs: options.resyncMs,
      pacer,
      capacity,
      trust: this.trust,
      reconciler: this.reconciler,
      queue: this.queue,
      onRunning: (boxes) => this.sweep.listed(boxes),
      onMode: (mode) => this.rounds.look(mode),
      onEvent,
    });
  }

  stats(): TermStats {
    return {
      ...this.queue.stats(),
      amnesty: this.trust.amnesty()?.cause ?? null,
      lastResyncAgoMs: this.resync.lastAgoMs(),
    };
  }

  /** What the next pass begins with. */
  vantage(): Vantage {
    const stateOf: Vantage['stateOf'] = (user, listed) => this.reconciler.stateOf(user, listed);
    return { sources: this.sources, stateOf, pacer: this.pacer.stats() };
  }

  /** For operators: published with every heartbeat. */
  health(): LoopHealth {
    return {
      ...this.watch.health(),
      ...this.queue.stats(),
      lastResyncAgoMs: this.resync.lastAgoMs(),
      amnesty: this.trust.amnesty()?.cause ?? null,
      pacer: this.pacer.stats(),
    };
  }

  async beat(reply: LeadReply): Promise<void> {
    await this.trust.beat(reply);
  }

  /** Runs until the term's signal is aborted, and until the passes that run then have ended. */
  async run(): Promise<void> {
    const { signal, first } = this.term;
    let unsubscribe = async (): Promise<void> => {};
    try {
      await this.begin(first, signal);
      unsubscribe = await this.options.store.subscribe(
        'wake',
        (user, when) => this.heard(user, when),
        () => this.resync.soon(),
      );
      const on = {
        event: (event: { type: 'box'; user: UserName } | { type: 'image' }) => {
          if (event.type === 'box') this.heard(event.user);
          else for (const user of this.reconciler.waitingForImages()) this.queue.add(user, 'person');
        },
        gap: () => this.resync.streamStands(),
        down: (reason: string) => this.resync.streamBroke(reason),
      };
      await Promise.all([this.options.runtime.follow(on, signal), this.resync.run(signal), this.sweep.run(signal)]);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await unsubscribe().catch((error: unknown) => this.options.log.warn({ error }, 'unsubscribing failed'));
      await this.queue.close();
    }
  }

  /** The trust question must be answered before the first pass, so before any wake-up is heard; Redis may be slow to answer at this very moment. */
  private async begin(first: LeadReply, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.trust.begin(first);
        return;
      } catch (error) {
        this.options.log.warn({ error }, 'the term could not begin; trying again');
        await sleep(this.options.clock, this.term.ttlMs / 4, signal);
      }
    }
  }

  private heard(user: UserName, when: 'now' | 'later' = 'now'): void {
    this.resync.heard(user);
    this.reconciler.heard(user);
    if (when === 'now') this.queue.add(user, 'person');
    else this.queue.addAfter(user, laterMs);
  }
}
