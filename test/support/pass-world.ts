import type { BoxStore } from '#shared/box-store.ts';
import { Lease } from '#shared/lease.ts';
import { type Limits, noLimits } from '#shared/config.ts';
import { createLogger } from '#shared/log.ts';
import type { BoxRecord } from '#shared/status.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import { TokenBucket } from '../../controller/src/queue/token-bucket.ts';
import type { LoopEvent } from '../../controller/src/loop-events.ts';
import { Executor } from '../../controller/src/reconcile/executor.ts';
import type { Sources } from '../../controller/src/reconcile/gather.ts';
import { Operations } from '../../controller/src/reconcile/operations.ts';
import { Capacity } from '../../controller/src/capacity/capacity.ts';
import { Pacer } from '../../controller/src/reconcile/pacer.ts';
import { Reconciler } from '../../controller/src/reconcile/reconcile.ts';
import { Trust } from '../../controller/src/reconcile/trust.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import type { LeaderStore } from '../../controller/src/store/leader-store.ts';
import type { Commit, CommitResult, StatusStore } from '../../controller/src/store/status-store.ts';
import { alice, boxClass, desiredOf, imageId, installation, now, rolloutsOn, runMode } from './box-facts.ts';
import { FakeClock } from './fake-clock.ts';
import { fakePort } from './fake-port.ts';
import { fakeRuntime } from './fake-runtime.ts';
import { noVaults } from './no-vaults.ts';

export const fenceMs = 5_000;

export const jobLease: Lease = Lease.parse({
  id: 'job-1',
  kind: 'job',
  holder: 'agent-7',
  takenAt: now,
  expiresAt: now + 30_000,
  ttlMs: 30_000,
});

/** A reconciler between a store and an engine that only do what the test says; `log` tells in which order they were called. */
export class PassWorld {
  readonly clock = new FakeClock();
  readonly abort = new AbortController();
  readonly log: string[] = [];
  readonly commits: Commit[] = [];
  readonly notLeader: string[] = [];
  /** what the loop told of itself */
  readonly events: LoopEvent[] = [];
  readonly pacer = new Pacer(this.clock);
  readonly capacity: Capacity;
  readonly bucket = new TokenBucket({ clock: this.clock, perSecond: 1_000, burst: 1_000 });
  /** by whom each commit was asked for */
  readonly tokens: string[] = [];
  /** every mark that was written, null = taken away */
  readonly marks: (string | null)[] = [];
  readonly trust: Trust;
  readonly classes = new Map([['default', boxClass]]);
  readonly reconciler: Reconciler;
  readonly sources: Sources;
  readonly operations: Operations;
  /** what the engine shows */
  containers: ContainerView[] = [];
  record: BoxRecord = {
    user: alice,
    now,
    desired: desiredOf(),
    leases: [jobLease],
    ended: [],
    sessions: [],
    status: null,
    holds: [],
    vaultRevision: 0,
    wantedUntil: now + 60_000,
    givesWayAt: null,
    mode: runMode,
    rollout: rolloutsOn,
    homeUsage: null,
  };
  /** what the commit script answers, when it is not `ok` */
  refuses: (CommitResult & { ok: false }) | Error | null = null;
  /** called within a commit, before it answers */
  onCommit: () => Promise<void> = async () => {};

  constructor(methods: Partial<BoxRuntime> = {}, limits: Limits = noLimits) {
    this.capacity = new Capacity({ limits, onCall: () => {} });
    const { clock, log, pacer } = this;
    const { signal } = this.abort;
    const onEvent = (event: LoopEvent): void => void this.events.push(event);
    const runtime = fakeRuntime({
      observe: async (_user, { thorough }) => {
        log.push(thorough ? 'observe thoroughly' : 'observe');
        return this.containers;
      },
      image: async () => ({ state: 'present', id: imageId }),
      home: async () => ({ state: 'present', uid: 1000 }),
      ...Object.fromEntries(Object.entries(methods).map(([name, call]) => [name, logged(log, name, call)])),
    });
    const noise = createLogger({ name: 'test', level: 'silent' });
    this.operations = new Operations({
      runtime,
      signal,
      nowMs: () => clock.monotonicMs(),
      onProgress: () => {},
      onEnd: (user, outcome) => this.reconciler.ended(user, outcome),
      onEvent,
    });
    const statusStore: StatusStore = {
      commit: (token, commit) => {
        this.tokens.push(token);
        return this.commit(commit);
      },
    };
    const leaderStore = fakePort<LeaderStore>({
      runId: async () => 'run-1',
      mark: async (_token, runId) => {
        this.marks.push(runId);
        return true;
      },
    });
    this.trust = new Trust({ store: leaderStore, clock, log: noise, token: 'token', onAmnesty: () => {} });
    const { operations, classes } = this;
    this.sources = { runtime, operations, classes, installation, homesDir: '/srv/homes' };
    this.reconciler = new Reconciler({
      store: fakePort<BoxStore>({ read: async () => this.record }),
      statusStore,
      sources: this.sources,
      executor: new Executor({ runtime, operations, vaults: noVaults, clock, fenceMs, signal, onEvent }),
      bucket: this.bucket,
      pacer,
      capacity: this.capacity,
      trust: this.trust,
      clock,
      log: noise,
      token: 'token',
      signal,
      onNotLeader: (reason) => this.notLeader.push(reason),
      onEvent,
    });
  }

  pass(): Promise<{ requeueAfterMs: number | null }> {
    return this.reconciler.pass(alice);
  }

  private async commit(commit: Commit): Promise<CommitResult> {
    this.log.push('commit');
    await this.onCommit();
    if (this.refuses instanceof Error) throw this.refuses;
    if (this.refuses !== null) return this.refuses;
    this.commits.push(commit);
    const { phase, containerId, containerGeneration, keepUntil, keepCause, body, version } = commit;
    const id = containerId === '' ? null : containerId;
    const status = { ...body, version: version + 1, phase, containerId: id, containerGeneration, keepUntil, keepCause };
    this.record = { ...this.record, status };
    return { ok: true };
  }
}

function logged(log: string[], name: string, call: unknown): unknown {
  if (typeof call !== 'function') throw new Error(`${name} is no function`);
  return (...args: unknown[]) => {
    log.push(name);
    return call(...args);
  };
}
