import type { BoxClass } from '#shared/box-class.ts';
import type { BoxStore } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { BoxRecord, StatusBody } from '#shared/status.ts';
import type { Place } from '../box/context.ts';
import type { Facts } from '../box/facts.ts';
import type { Capacity } from '../capacity/capacity.ts';
import { standingOf, storedPlaceOf, storedStandingOf } from '../capacity/standing.ts';
import type { ContainerView } from '../box/observed.ts';
import { isLive } from '../box/ownership.ts';
import type { Plan } from '../box/plan.ts';
import { type OnLoopEvent, unheard } from '../loop-events.ts';
import type { TokenBucket } from '../queue/token-bucket.ts';
import type { StatusStore } from '../store/status-store.ts';
import { commitOf } from './commit.ts';
import { type Decision, decide, needsPlace } from './decide.ts';
import type { Executor } from './executor.ts';
import type { PassState, Sources } from './gather.ts';
import type { Outcome } from './operations.ts';
import type { Pacer } from './pacer.ts';
import type { Trust } from './trust.ts';

/** After a refused commit the next pass reads what changed; this keeps a disagreement from spinning. */
const refusedRetryMs = 50;
/** Redis was restarted: the next heartbeat notices it, and no idle reap passes before that. */
const untrustedRetryMs = 1_000;

/**
 * One pass over one user: read, gather, plan, commit, execute at most one command. The same function serves a new lease, a
 * crash, a dead container, a new leader and a drift; nothing else changes a box.
 *
 * INVARIANT: no engine call that changes anything happens without a commit just before it that the leader's token, the
 * version that was read and, for a drain, Redis' own judgement allowed.
 */
export class Reconciler {
  private readonly store: BoxStore;
  private readonly statusStore: StatusStore;
  private readonly sources: Sources;
  private readonly executor: Executor;
  private readonly bucket: TokenBucket;
  private readonly pacer: Pacer;
  private readonly capacity: Capacity;
  private readonly trust: Trust;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly token: string;
  private readonly signal: AbortSignal;
  private readonly onNotLeader: (reason: string) => void;
  private readonly onReady: (boxClass: BoxClass, box: ContainerView) => void;
  private readonly onEvent: OnLoopEvent;
  /** what a list showed, for the next pass of a user of whom nothing was heard since the list began */
  private readonly listed = new Map<UserName, readonly ContainerView[]>();
  private readonly outcomes = new Map<UserName, Outcome>();
  /** users whose last pass found a lease, but no image to make the box from */
  private readonly withoutImage = new Set<UserName>();
  /** when this process saw a box lost that somebody held (Redis TIME, ms) */
  private readonly lostAt = new Map<UserName, number>();

  constructor(options: {
    store: BoxStore;
    statusStore: StatusStore;
    sources: Sources;
    executor: Executor;
    bucket: TokenBucket;
    pacer: Pacer;
    capacity: Capacity;
    trust: Trust;
    clock: Clock;
    log: Logger;
    token: string;
    signal: AbortSignal;
    onNotLeader: (reason: string) => void;
    /** each time that a box is found ready, of the image that its class stands for now */
    onReady?: (boxClass: BoxClass, box: ContainerView) => void;
    onEvent?: OnLoopEvent;
  }) {
    this.store = options.store;
    this.statusStore = options.statusStore;
    this.sources = options.sources;
    this.executor = options.executor;
    this.bucket = options.bucket;
    this.pacer = options.pacer;
    this.capacity = options.capacity;
    this.trust = options.trust;
    this.clock = options.clock;
    this.log = options.log;
    this.token = options.token;
    this.signal = options.signal;
    this.onNotLeader = options.onNotLeader;
    this.onReady = options.onReady ?? (() => {});
    this.onEvent = options.onEvent ?? unheard;
  }

  /** The next pass of this user may look at these instead of asking the engine, unless something is heard before. */
  seen(user: UserName, containers: readonly ContainerView[]): void {
    this.listed.set(user, containers);
  }

  /** Something happened to this user's box: what a list showed is old. */
  heard(user: UserName): void {
    this.listed.delete(user);
  }

  /** Whom an image that changed may concern: who waits for one need not wait until the time of the next try. */
  waitingForImages(): UserName[] {
    return [...this.withoutImage];
  }

  /** How a command that outlasted its pass ended. */
  ended(user: UserName, outcome: Outcome): void {
    this.outcomes.set(user, outcome);
    this.listed.delete(user);
  }

  async pass(user: UserName): Promise<{ requeueAfterMs: number | null }> {
    const beganAtMs = this.clock.monotonicMs();
    const listed = this.listed.get(user) ?? null;
    this.listed.delete(user);
    const record = await this.store.read(user);
    const trace = traceOf(record);
    if (trace !== null) {
      this.onEvent({ type: 'lease-waits', user, trace, sinceMs: this.clock.monotonicMs() - beganAtMs });
    }
    const decision = await decide(this.sources, record, this.stateOf(user, listed), this.signal);
    const { facts, plan } = decision;
    this.log.debug({ user, from: record.status?.value ?? null, rule: plan.rule }, 'plan');
    if (decision.isNothing) {
      this.weigh(record, decision);
      this.forgetOutcome(facts);
      // Passes come also of whoever has a container that is named like a box: nobody whom we know.
      const phase = record.status === null ? null : plan.phase;
      this.onEvent({ type: 'concluded', user, phase, rule: plan.rule });
      return this.done(facts, plan);
    }
    return await this.commitAndExecute(record, decision);
  }

  /** What this process knows for a pass of this user beside the record and the engine; asking changes nothing. */
  stateOf(user: UserName, listed: readonly ContainerView[] | null): PassState {
    const last = this.outcomes.get(user) ?? null;
    const thorough = last?.command === 'stop' || last?.command === 'remove';
    return {
      listed,
      thorough,
      last,
      amnesty: this.trust.amnesty(),
      capacity: this.capacity,
      pacedMs: this.pacer.waitMs(),
    };
  }

  private async commitAndExecute(record: BoxRecord, decision: Decision): Promise<{ requeueAfterMs: number | null }> {
    const { user } = record;
    const { facts, plan } = decision;
    const { command } = plan;
    const mustTake = needsPlace(record, decision);
    const place = mustTake ? this.pacer.tryTake() : null;
    if (mustTake && place === null) return { requeueAfterMs: 1 }; // others took the last places: the next pass says so
    const wanted = newPlaceOf(record, decision);
    const room = wanted === null ? null : this.capacity.tryTake(user, wanted.memoryBytes);
    if (wanted !== null && room === null) {
      place?.giveBack();
      return { requeueAfterMs: 1 }; // others took the last place: the next pass says so
    }
    // Before the commit, because a command must follow its commit at once.
    if (command.type !== 'none') await this.bucket.take(this.signal);
    const committedAtMs = this.clock.monotonicMs();
    const result = await this.statusStore.commit(this.token, commitOf(record, decision)).catch((error: unknown) => {
      // Whether `room` was given nobody knows: it stays taken until the next pass has read it.
      place?.giveBack();
      throw error;
    });
    if (!result.ok) {
      place?.giveBack();
      room?.giveBack();
      const cause = 'cause' in command ? command.cause : null;
      this.onEvent({ type: 'commit-refused', user, refused: result.refused, cause });
      this.log.debug({ user, refused: result.refused, detail: result.detail, rule: plan.rule }, 'commit refused');
      if (result.refused === 'not-leader') this.onNotLeader('the commit script says that another leads');
      return { requeueAfterMs: result.refused === 'untrusted' ? untrustedRetryMs : refusedRetryMs };
    }
    this.forgetOutcome(facts);
    this.weigh(record, decision);
    this.tell(record, decision);
    if (plan.phase !== record.status?.phase || command.type !== 'none') {
      this.log.info({ user, phase: plan.phase, step: plan.step, command: command.type, rule: plan.rule }, 'pass');
    }
    const outcome = await this.executor.execute(command, { user, facts, committedAtMs });
    if (outcome === null) return this.done(facts, plan);
    if (outcome === 'dropped') {
      if (!this.signal.aborted)
        this.log.warn({ user, command: command.type }, 'command dropped: its commit took too long');
      return { requeueAfterMs: refusedRetryMs };
    }
    this.outcomes.set(user, outcome);
    if (outcome.fault !== null) this.log.warn({ user, fault: outcome.fault }, `${command.type} failed`);
    return { requeueAfterMs: 0 };
  }

  /** For the limits: what is there, and who waits. An engine that did not answer has told nothing of it. */
  private weigh(record: BoxRecord, decision: Decision): void {
    const { user, now } = record;
    if (decision.facts.engineDown === null) this.capacity.see(user, standingOf(record, decision), now);
    else this.capacity.presume(user, storedStandingOf(record, this.sources.classes), now);
  }

  /** What a committed pass has changed, for metrics and traces. */
  private tell(record: BoxRecord, { facts, plan, body }: Decision): void {
    const { user, status, now } = record;
    const isForgotten = plan.command.type === 'forget';
    this.onEvent({ type: 'concluded', user, phase: isForgotten ? null : plan.phase, rule: plan.rule });
    const { lastReap } = body;
    if (lastReap !== null && lastReap.at !== status?.lastReap?.at) {
      this.onEvent({ type: 'reap-done', user, cause: lastReap.cause });
    }
    if (isPaced(body) && !isPaced(status)) this.onEvent({ type: 'reap-paced', user });
    if (isWaiting(status) && plan.context.place !== null) {
      this.onEvent({ type: 'admitted', user, afterMs: Math.max(0, now - askedAt(record)) });
    }
    const wasReady = status?.phase === 'ready';
    if (!facts.hasLease) this.lostAt.delete(user);
    else if (wasReady && plan.phase !== 'ready') this.lostAt.set(user, now);
    if (wasReady || plan.phase !== 'ready') return;
    if (facts.hasLease) {
      const afterMs = Math.max(0, now - Math.max(askedAt(record), this.lostAt.get(user) ?? 0));
      this.onEvent({ type: 'box-ready', user, afterMs, trace: traceOf(record) });
    }
    this.lostAt.delete(user);
  }

  /** A pass has drawn its conclusions from it. One that came during the pass is the next one's. */
  private forgetOutcome({ user, last }: Facts): void {
    if (this.outcomes.get(user) === last) this.outcomes.delete(user);
  }

  private done(facts: Facts, plan: Plan): { requeueAfterMs: number | null } {
    const { box } = facts.ownership;
    const isWithoutImage = facts.image.state === 'forbidden' || facts.image.state === 'wanted';
    if (plan.phase === 'failed' && isWithoutImage) this.withoutImage.add(facts.user);
    else if (facts.engineDown === null) this.withoutImage.delete(facts.user);
    const isCurrent = facts.spec !== null && box?.imageId === facts.spec.imageId;
    if (plan.phase === 'ready' && facts.boxClass !== null && isCurrent) this.onReady(facts.boxClass, box);
    const amnesty = facts.amnesty?.id ?? '';
    if (facts.engineDown === null && (box === null || !isLive(box) || plan.context.amnestyId === amnesty)) {
      this.trust.granted(facts.user, amnesty);
    }
    return { requeueAfterMs: plan.requeueAfterMs };
  }
}

/** The trace in which somebody waits for this box; null = nobody does, or nobody traces. */
function traceOf({ status, leases }: BoxRecord): string | null {
  if (status?.phase === 'ready') return null;
  return leases.toSorted((a, b) => b.takenAt - a.takenAt).find(({ trace }) => trace !== undefined)?.trace ?? null;
}

function askedAt({ leases }: BoxRecord): number {
  return Math.min(...leases.map(({ takenAt }) => takenAt));
}

/** The place that a commit would give to a box that does not run and has none; null = it gives none. */
function newPlaceOf({ status }: BoxRecord, { facts, plan }: Decision): Place | null {
  const { place } = plan.context;
  const { box } = facts.ownership;
  if (place === null || (box !== null && isLive(box))) return null;
  const before = storedPlaceOf(status);
  return before !== null && before.memoryBytes >= place.memoryBytes ? null : place;
}

function isWaiting(body: StatusBody | null): boolean {
  return body?.conditions.some(({ reason }) => reason === 'AdmissionWait') ?? false;
}

function isPaced(body: StatusBody | null): boolean {
  return body?.conditions.some(({ reason }) => reason === 'ReapPaced') ?? false;
}
