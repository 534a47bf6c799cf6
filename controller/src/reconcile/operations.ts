import { EngineError, type Fault } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import type { HomeWritten } from '#shared/vault-status.ts';
import type { PullProgress } from '#shared/status.ts';
import type { CommandType } from '../box/facts.ts';
import { type OnLoopEvent, unheard } from '../loop-events.ts';
import type { BoxRuntime } from '../runtime/port.ts';

/** Progress of a pull reaches the passes of those who wait at most this often. */
const progressEveryMs = 1_000;

/** How the last command for a user ended; taken by the user's next pass. */
export interface Outcome {
  readonly command: CommandType;
  readonly containerId: string;
  readonly fault: Fault | null;
  /** of a `write-vault` that came to its end */
  readonly vault?: HomeWritten;
}

interface Pull {
  progress: PullProgress | null;
  readonly waiting: Set<UserName>;
  /** how it ended */
  ended: Promise<Fault | null>;
}

/**
 * Work that outlasts a pass: image pulls and stops. Each runs on its own, its progress and its end are facts of later passes.
 *
 * INVARIANTS
 * - One pull per image, one stop per container.
 * - Every end reaches `onEnd` for every user who waits for it, also an end by fault.
 * - After `signal` is aborted nothing is reported any more; the next leader starts what is still needed again.
 */
export class Operations {
  private readonly runtime: BoxRuntime;
  private readonly signal: AbortSignal;
  private readonly nowMs: () => number;
  private readonly onProgress: (user: UserName) => void;
  private readonly onEnd: (user: UserName, outcome: Outcome) => void;
  private readonly onEvent: OnLoopEvent;
  private readonly pulls = new Map<string, Pull>();
  private readonly stops = new Set<string>();
  private readonly pulled: Set<string>;

  constructor(options: {
    runtime: BoxRuntime;
    signal: AbortSignal;
    nowMs: () => number;
    onProgress: (user: UserName) => void;
    onEnd: (user: UserName, outcome: Outcome) => void;
    onEvent?: OnLoopEvent;
    /** images that this process pulled, in this term or an earlier one: what `pullPolicy: Always` means is once per process */
    pulled?: Set<string>;
  }) {
    this.pulled = options.pulled ?? new Set();
    this.runtime = options.runtime;
    this.signal = options.signal;
    this.nowMs = options.nowMs;
    this.onProgress = options.onProgress;
    this.onEnd = options.onEnd;
    this.onEvent = options.onEvent ?? unheard;
  }

  /** Whether the image is being pulled, and how far; a user who is named here is told its progress and its end. */
  pullOf(image: string, user: UserName | null): { progress: PullProgress | null } | null {
    const pull = this.pulls.get(image);
    if (user !== null) pull?.waiting.add(user);
    return pull ?? null;
  }

  wasPulled(image: string): boolean {
    return this.pulled.has(image);
  }

  stopping(): string[] {
    return [...this.stops];
  }

  pull(image: string, user: UserName): void {
    const running = this.pulls.get(image);
    if (running) running.waiting.add(user);
    else this.begin(image, [user]);
  }

  /** Pulls an image whether it is there or not, or joins the pull that is under way; null = it is there. */
  async refresh(image: string): Promise<Fault | null> {
    return await (this.pulls.get(image) ?? this.begin(image, [])).ended;
  }

  private begin(image: string, users: readonly UserName[]): Pull {
    const pull: Pull = { progress: null, waiting: new Set(users), ended: Promise.resolve(null) };
    this.pulls.set(image, pull);
    const beganAtMs = this.nowMs();
    let toldAt = Number.NEGATIVE_INFINITY;
    const onProgress = (progress: PullProgress): void => {
      pull.progress = progress;
      if (this.nowMs() - toldAt < progressEveryMs) return;
      toldAt = this.nowMs();
      for (const waiter of pull.waiting) this.onProgress(waiter);
    };
    pull.ended = this.settle(() => this.runtime.pull(image, onProgress, this.signal), 'pull').then((fault) => {
      this.pulls.delete(image);
      if (fault === null) this.pulled.add(image);
      for (const waiter of pull.waiting) this.end(waiter, { command: 'pull', containerId: '', fault }, beganAtMs);
      return fault;
    });
    return pull;
  }

  stop(id: string, graceMs: number, user: UserName): void {
    if (this.stops.has(id)) return;
    this.stops.add(id);
    const beganAtMs = this.nowMs();
    void this.settle(() => this.runtime.stop(id, graceMs, this.signal), 'stop').then((fault) => {
      this.stops.delete(id);
      this.end(user, { command: 'stop', containerId: id, fault }, beganAtMs);
    });
  }

  private end(user: UserName, outcome: Outcome, beganAtMs: number): void {
    if (this.signal.aborted) return;
    const { command, fault } = outcome;
    this.onEvent({
      type: 'command-ended',
      user,
      command,
      tookMs: this.nowMs() - beganAtMs,
      fault: fault?.kind ?? null,
    });
    this.onEnd(user, outcome);
  }

  private async settle(work: () => Promise<void>, operation: string): Promise<Fault | null> {
    try {
      await work();
      return null;
    } catch (error) {
      return faultOf(error, operation);
    }
  }
}

/** An adapter's error as a fault. What is no `EngineError` is a bug in the adapter: it becomes a fault too, with its own words. */
export function faultOf(error: unknown, operation: string): Fault {
  if (error instanceof EngineError) return error.fault;
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'failed', operation, status: null, message };
}
