import { randomBytes } from 'node:crypto';
import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { type OnLoopEvent, unheard } from '../loop-events.ts';
import type { LeaderStore, LeadReply } from '../store/leader-store.ts';

/** A new leader that finds an older heartbeat than this knows nothing of what happened meanwhile. */
const heartbeatOldMs = 60_000;
/** Redis' time and ours may move apart by this much between two heartbeats; and Redis may be unreadable for this long. */
const driftMs = 10_000;

/** Why Redis may not know who needs a box: the closed list. */
export const distrustCauses = [
  'Redis was restarted',
  "Redis' clock jumped back",
  'no controller led for a while',
  'Redis is new or was emptied',
  'Redis carries no mark of trust',
  'Redis could not be read for a while',
  "Redis' clock jumped",
  'Redis was emptied or restored',
] as const;
export type DistrustCause = (typeof distrustCauses)[number];

export interface Amnesty {
  readonly id: string;
  readonly cause: string;
}

/**
 * Decides whether Redis can be trusted to know who needs a box. While it is not, `amnesty` is set: every box that runs is
 * granted time by its next pass, and only when all have it does the mark say "trusted" again. The commit script compares the
 * mark with the server's run id itself, so between a restart of Redis and our noticing it no idle reap can be committed.
 *
 * INVARIANT: the mark is written only after every box that ran has been granted. A leader that dies before leaves the mark
 * missing, and the next one begins again: nothing latches, nothing is forgotten.
 */
export class Trust {
  private readonly store: LeaderStore;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly token: string;
  private readonly onAmnesty: () => void;
  private readonly onEvent: OnLoopEvent;
  private current: Amnesty | null = null;
  /** the mark may still say that Redis is trusted */
  private marked = false;
  /** users with a running box that the current amnesty has not reached; null = not listed yet */
  private waiting: Set<UserName> | null = null;
  private runId = '';
  private lastBeat: { now: number; monotonicMs: number } | null = null;
  private marking = false;
  /** since when Redis is trusted without a break, as far as this term knows; null = it is not */
  private trustedSinceMs: number | null = null;

  constructor(options: {
    store: LeaderStore;
    clock: Clock;
    log: Logger;
    token: string;
    onAmnesty: () => void;
    onEvent?: OnLoopEvent;
  }) {
    this.store = options.store;
    this.clock = options.clock;
    this.log = options.log;
    this.token = options.token;
    this.onAmnesty = options.onAmnesty;
    this.onEvent = options.onEvent ?? unheard;
  }

  amnesty(): Amnesty | null {
    return this.current;
  }

  /** How long Redis has been trusted without a break, as far as this term knows; 0 = it is not. */
  trustedForMs(): number {
    return this.trustedSinceMs === null ? 0 : this.clock.monotonicMs() - this.trustedSinceMs;
  }

  /** What the term began with. */
  async begin(first: LeadReply): Promise<void> {
    this.runId = await this.store.runId();
    this.trustedSinceMs = this.clock.monotonicMs();
    this.lastBeat = { now: first.now, monotonicMs: this.clock.monotonicMs() };
    const { marker, now, previousAt } = first;
    // A heartbeat that does not go on has taken the mark with it: its own cause is asked for before the missing mark's.
    if (marker !== '' && marker !== this.runId) this.distrust('Redis was restarted');
    else if (now < previousAt) this.distrust("Redis' clock jumped back");
    else if (previousAt > 0 && now - previousAt > heartbeatOldMs) this.distrust('no controller led for a while');
    else if (previousAt === 0) this.distrust('Redis is new or was emptied');
    else if (marker === '') this.distrust('Redis carries no mark of trust');
    await this.unmark();
  }

  /** Every heartbeat of the term. */
  async beat(reply: LeadReply): Promise<void> {
    // The term's first question is not answered yet: there is nothing to compare with.
    if (this.runId === '') return;
    const monotonicMs = this.clock.monotonicMs();
    const { lastBeat } = this;
    this.lastBeat = { now: reply.now, monotonicMs };
    if (lastBeat !== null) {
      const ours = monotonicMs - lastBeat.monotonicMs;
      if (ours >= driftMs) this.distrust('Redis could not be read for a while');
      else if (Math.abs(reply.now - lastBeat.now - ours) >= driftMs) this.distrust("Redis' clock jumped");
    }
    const runId = await this.store.runId();
    if (runId !== this.runId) {
      this.runId = runId;
      this.distrust('Redis was restarted');
    } else if (this.current === null && reply.marker !== runId) this.distrust('Redis was emptied or restored');
    await this.unmark();
    await this.settle();
  }

  /**
   * A list of all containers came: these users have a running box. The first list that was begun after a distrust, and so
   * under its amnesty, says whom it concerns: an older one may lack a box that was started meanwhile.
   */
  listed(users: Iterable<UserName>, begunUnder: Amnesty | null): void {
    if (this.current === null || this.current !== begunUnder || this.waiting !== null) return;
    this.waiting = new Set(users);
    const { cause } = this.current;
    // Also true of every first start, where nothing runs yet: no reason to alarm anybody.
    if (this.waiting.size > 0) this.log.warn({ boxes: this.waiting.size, cause }, 'every running box is granted time');
  }

  /** A pass of this user was committed, or its box runs no more, under amnesty `id`. */
  granted(user: UserName, id: string): void {
    if (this.current?.id === id) this.waiting?.delete(user);
  }

  private distrust(cause: DistrustCause): void {
    this.current = { id: randomBytes(6).toString('hex'), cause: `amnesty: ${cause}` };
    this.waiting = null;
    this.trustedSinceMs = null;
    this.marked = true;
    this.log.info({ cause }, 'Redis is not trusted to know who needs a box, until every running box was granted time');
    this.onEvent({ type: 'amnesty-began', cause });
    this.onAmnesty();
  }

  /** While the mark stands, a pass that was planned before the distrust could still commit an idle reap. */
  private async unmark(): Promise<void> {
    if (this.marked && (await this.store.mark(this.token, null))) this.marked = false;
  }

  private async settle(): Promise<void> {
    if (this.current === null || this.marked || this.waiting === null || this.waiting.size > 0 || this.marking) return;
    const { id } = this.current;
    this.marking = true;
    try {
      if ((await this.store.mark(this.token, this.runId)) && this.current?.id === id) {
        this.current = null;
        this.trustedSinceMs = this.clock.monotonicMs();
        this.log.info('Redis is trusted again: every running box has its time');
        this.onEvent({ type: 'amnesty-ended' });
      }
    } finally {
      this.marking = false;
    }
  }
}
