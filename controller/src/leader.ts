import { randomBytes } from 'node:crypto';
import { type Clock, sleep } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import type { LoopHealth } from '#shared/operator-schemas.ts';
import { type OnLoopEvent, unheard } from './loop-events.ts';
import type { Candidate, LeaderStore, LeadReply } from './store/leader-store.ts';

/** A lead of this process, from its taking to its loss. */
export interface Term {
  readonly token: string;
  readonly ttlMs: number;
  /** aborted when the lead is lost or given up: nothing of this term may act after it */
  readonly signal: AbortSignal;
  /** the heartbeat's reply that began the term: what the last leader left */
  readonly first: LeadReply;
}

export interface LeaderStatus {
  readonly leads: boolean;
  /** who led at the last look; '' = unknown */
  readonly holder: string;
  readonly sinceMs: number | null;
}

interface Taken {
  readonly first: LeadReply;
  /** this process's time just before the take was sent: the lead lasts one TTL from then */
  readonly sentAtMs: number;
}

/** How often in a TTL a leader renews and a challenger looks. */
const beatsPerTtl = 4;
/** A challenger waits this many TTLs of its own time in which the counter stands still, as client-go does. */
const ttlsUntilTakeover = 2;

/**
 * Leader election over the heartbeat in Redis.
 *
 * INVARIANTS
 * - At most one term at a time in this process; `onTerm` of the next is called after that of the last returned.
 * - A term is aborted at the latest one TTL after the last renewal that succeeded, by this process's own time. A process
 *   that was stopped longer than that may still believe in its term for an instant: the commit script refuses its token.
 */
export class Leader {
  private readonly store: LeaderStore;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly ttlMs: number;
  private readonly holder: string;
  private readonly fingerprint: string;
  private readonly able: Promise<unknown>;
  private readonly onTerm: (term: Term) => Promise<void>;
  private readonly onBeat: (reply: LeadReply) => Promise<void> | undefined;
  private readonly onRedis: (problem: string | null) => void;
  private readonly loop: () => LoopHealth | null;
  private readonly onEvent: OnLoopEvent;
  private state: LeaderStatus = { leads: false, holder: '', sinceMs: null };
  private loseTerm: ((reason: string) => void) | null = null;

  constructor(options: {
    store: LeaderStore;
    clock: Clock;
    log: Logger;
    ttlMs: number;
    /** the process, for people */
    holder: string;
    fingerprint: string;
    /** settles when this process can do a leader's work; it challenges before, and takes the lead after */
    able: Promise<unknown>;
    /** runs the term until its signal is aborted */
    onTerm: (term: Term) => Promise<void>;
    /** every successful heartbeat of a term */
    onBeat: (reply: LeadReply) => Promise<void> | undefined;
    /** null = Redis answered; else why not */
    onRedis: (problem: string | null) => void;
    /** how the loop does, told with every heartbeat; null = there is none yet */
    loop?: () => LoopHealth | null;
    onEvent?: OnLoopEvent;
  }) {
    this.store = options.store;
    this.clock = options.clock;
    this.log = options.log;
    this.ttlMs = options.ttlMs;
    this.holder = options.holder;
    this.fingerprint = options.fingerprint;
    this.able = options.able;
    this.onTerm = options.onTerm;
    this.onBeat = options.onBeat;
    this.onRedis = options.onRedis;
    this.loop = options.loop ?? (() => null);
    this.onEvent = options.onEvent ?? unheard;
  }

  status(): LeaderStatus {
    return this.state;
  }

  /** The commit script said that this token does not lead. */
  lost(reason: string): void {
    this.loseTerm?.(reason);
  }

  /** Challenges, leads, and challenges again, until aborted; gives the lead back then. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const candidate = this.candidate();
      const taken = await this.challenge(candidate, signal);
      if (taken !== null) await this.lead(candidate, taken, signal);
    }
  }

  private candidate(): Candidate {
    const token = randomBytes(16).toString('hex');
    return { token, ttlMs: this.ttlMs, holder: this.holder, fingerprint: this.fingerprint };
  }

  private async challenge(candidate: Candidate, signal: AbortSignal): Promise<Taken | null> {
    let counter = -1;
    let stoodStillSince = 0;
    while (!signal.aborted) {
      try {
        const look = await this.store.look(candidate);
        this.onRedis(null);
        const now = this.clock.monotonicMs();
        this.state = { leads: false, holder: look.free ? '' : look.holder, sinceMs: null };
        if (look.counter !== counter) {
          counter = look.counter;
          stoodStillSince = now;
        }
        if (look.free || now - stoodStillSince >= ttlsUntilTakeover * this.ttlMs) {
          // The wait for the heartbeat and the wait for the engine go on together; the counter says whether somebody
          // else led meanwhile.
          await this.able;
          const sentAtMs = this.clock.monotonicMs();
          const first = await this.store.take(candidate, counter);
          if (first.leads) return { first, sentAtMs };
        }
      } catch (error) {
        // What was seen before a gap proves nothing about the gap.
        counter = -1;
        this.onRedis(`Redis does not answer: ${messageOf(error)}`);
        this.log.debug({ error }, 'the heartbeat could not be read');
      }
      await this.pause(signal);
    }
    return null;
  }

  private async lead(candidate: Candidate, { first, sentAtMs }: Taken, signal: AbortSignal): Promise<void> {
    const lost = new AbortController();
    this.loseTerm = (reason) => lost.abort(new Error(reason));
    const term: Term = {
      token: candidate.token,
      ttlMs: this.ttlMs,
      signal: AbortSignal.any([lost.signal, signal]),
      first,
    };
    this.state = { leads: true, holder: this.holder, sinceMs: this.clock.monotonicMs() };
    this.onEvent({ type: 'leading', leads: true });
    this.log.info({ holder: this.holder }, 'this controller leads');
    let hasFailed = false;
    const work = this.onTerm(term).catch((error: unknown) => {
      hasFailed = true;
      this.log.error({ error }, 'the term ended with an error');
      lost.abort(error);
    });
    await this.beat(candidate, term, lost, sentAtMs);
    await work;
    this.loseTerm = null;
    this.onEvent({ type: 'leading', leads: false });
    this.state = { leads: false, holder: '', sinceMs: null };
    this.log.info({ reason: String(term.signal.reason) }, 'this controller leads no more');
    await this.store
      .release(candidate)
      .catch((error: unknown) => this.log.warn({ error }, 'the lead could not be given back'));
    // What made the term fail may be there still, and nobody else may want the lead.
    if (hasFailed) await this.pause(signal);
  }

  private async beat(candidate: Candidate, term: Term, lost: AbortController, takenAtMs: number): Promise<void> {
    let cancelDeadline = this.deadline(takenAtMs, lost);
    while (!term.signal.aborted) {
      await this.pause(term.signal);
      if (term.signal.aborted) break;
      const sentAtMs = this.clock.monotonicMs();
      try {
        const reply = await this.store.renew(candidate, this.loop());
        if (!reply.leads) lost.abort(new Error(`${reply.holder || 'nobody'} leads now`));
        if (term.signal.aborted) break;
        cancelDeadline();
        cancelDeadline = this.deadline(sentAtMs, lost);
        this.onRedis(null);
        await this.onBeat(reply);
      } catch (error) {
        this.onRedis(`Redis does not answer: ${messageOf(error)}`);
        this.log.debug({ error }, 'the heartbeat could not be renewed');
      }
    }
    cancelDeadline();
  }

  /** Not asked only when a renewal fails: one that hangs must not outlive the term. */
  private deadline(renewedAtMs: number, lost: AbortController): () => void {
    const leftMs = Math.max(0, renewedAtMs + this.ttlMs - this.clock.monotonicMs());
    return this.clock.after(leftMs, () => lost.abort(new Error('Redis did not answer for a whole term')));
  }

  private async pause(signal: AbortSignal): Promise<void> {
    await sleep(this.clock, this.ttlMs / beatsPerTtl, signal).catch(() => {});
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
