import { z } from 'zod';
import type { InstallationId } from '#shared/identity.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import type { SimContainer } from '../support/sim-engine.ts';
import type { SimRuntime } from '../support/sim-runtime.ts';
import { Ledger } from './ledger.ts';
import type { Reply } from './lua-state.ts';
import { leaderTtlMs } from './sim-controller.ts';
import type { SimRedis } from './sim-redis.ts';

/** A user whose containers somebody moved by hand may have two for so long. */
const handMadeGraceMs = 90_000;

/** What the largest ttl of a lease that is renewed makes of every grant, less the steps of rounding. */
const grantedMs = 300_000 - 10;

/** After half of the leader's term a commit permits nothing any more: another may lead. */
const fenceMs = leaderTtlMs / 2;

const Intent = z.object({ kind: z.string(), cause: z.string().optional(), containerId: z.string().optional() });

const StoredLease = z.object({ expiresAt: z.number(), endedAt: z.number().optional() });

const Body = z.object({ step: z.string().nullable() });
const Committed = z.object({
  phase: z.string(),
  body: z.string().transform((text) => Body.parse(JSON.parse(text))),
});
const LeadAnswer = z.object({ leads: z.boolean() });
const CommitAnswer = z.object({ refused: z.string().optional() });

/** What no box is made without. */
const makesBoxes = new Set(['create', 'ensureHome']);

interface Permit {
  readonly process: string;
  readonly at: number;
  /** the reconciler's, just then */
  readonly mode: string;
  used: boolean;
}

/** Watches over what must never happen: sees every script, every change of a container, and the engine after every step. */
export class Watcher {
  readonly violations: string[] = [];
  /** by how much Redis' clock was set back so far: what was written before may live so much longer */
  clockWentBackMs = 0;
  /** a commit brought this user's box to a phase and a step */
  onCommit: (user: string, phase: string, step: string | null) => void = () => {};
  onViolation: (what: string) => void = () => {};
  /** what was reached: `script:…`, `command:…`, `cause:…` */
  readonly reached = new Map<string, number>();
  private readonly now: () => number;
  private readonly runtime: SimRuntime;
  private readonly installation: InstallationId;
  private readonly ledger: Ledger;
  private readonly redis: SimRedis;
  private readonly holders = new Map<string, string>();
  private readonly permits = new Map<string, Permit>();
  private readonly handled = new Map<string, number>();
  private readonly homes = new Set<string>();
  private readonly consents = new Set<string>();
  private begunBefore = false;
  private needBefore: string | null = null;
  private claimBefore: string | null = null;
  private holderBefore: string | null = null;
  /** what ran when Redis was lost or its clock jumped, and when that was */
  private distrust: { readonly at: number; readonly running: ReadonlySet<string> } = { at: 0, running: new Set() };
  /** token ids that passed since Redis was lost last */
  private readonly spent = new Map<string, number>();

  constructor(options: {
    now: () => number;
    redis: SimRedis;
    runtime: SimRuntime;
    installation: InstallationId;
    idle: { detachedMs: number; attachedMs: number; giveWayMs: number };
  }) {
    this.now = options.now;
    this.runtime = options.runtime;
    this.redis = options.redis;
    this.installation = options.installation;
    this.ledger = new Ledger(options.idle);
    options.redis.onScript = (name, keys, args) => this.before(name, keys, args);
    options.redis.afterScript = (name, keys, args, reply) => this.after(name, keys, args, reply);
  }

  /** Redis is not what it was, from now on: what runs now must be granted time. Told when that is done. */
  distrusted(cause: 'emptied' | 'restored' | 'jumped', byMs = 0): void {
    const running = [...this.runtime.engine.containers.values()].filter(({ state }) => state === 'running');
    this.distrust = { at: this.now(), running: new Set(running.map(({ id }) => id)) };
    this.spent.clear();
    if (cause === 'jumped') {
      this.clockWentBackMs += Math.max(0, -byMs);
      this.ledger.agePins(Math.max(0, byMs));
      return;
    }
    this.pinsMayBeLost();
  }

  /** A pin holds as long as Redis still has it: nobody renews one. */
  pinsMayBeLost(): void {
    this.ledger.keepPins(this.now(), (user, id) => {
      const stored = StoredLease.safeParse(decoded(this.redis.hash(this.keyOf(user, 'leases')).get(id)));
      return stored.success && stored.data.endedAt === undefined ? stored.data.expiresAt - this.redis.now() : 0;
    });
  }

  /**
   * A status of before the last distrust may have come back, without the grant of time that stood for everything of before:
   * nobody can know of it any more. What was heard since still counts.
   */
  forgetGrant(user: string): void {
    const { at, running } = this.distrust;
    const others = [...running].filter((id) => this.container(id)?.blueprint.user !== user);
    this.distrust = { at, running: new Set(others) };
    this.ledger.forgetBefore(user, at);
  }

  /** Somebody did something to this user's containers by hand. */
  handledByHand(user: string): void {
    this.handled.set(user, this.now());
  }

  /** The port, with a look at every change that is asked for. */
  observe(process: string, runtime: BoxRuntime): BoxRuntime {
    const changeOf = (operation: string, id: string): void => this.changes(process, operation, this.container(id));
    return {
      ...runtime,
      create: (box, signal) => {
        this.permitted(process, 'create', box.user);
        return runtime.create(box, signal);
      },
      ensureHome: (user, owner, signal) => {
        this.permitted(process, 'ensureHome', user);
        return runtime.ensureHome(user, owner, signal);
      },
      start: (id, signal) => {
        changeOf('start', id);
        return runtime.start(id, signal);
      },
      unpause: (id, signal) => {
        changeOf('unpause', id);
        return runtime.unpause(id, signal);
      },
      rename: (id, name, signal) => {
        changeOf('rename', id);
        return runtime.rename(id, name, signal);
      },
      stop: (id, graceMs, signal) => {
        changeOf('stop', id);
        return runtime.stop(id, graceMs, signal);
      },
      remove: (id, signal) => {
        changeOf('remove', id);
        return runtime.remove(id, signal);
      },
    };
  }

  /** A call of a gateway: it may run something in a container, and never changes one. */
  unchanged<Value>(gateway: string, effect: () => Value): Value {
    const before = this.containersNow();
    const value = effect();
    const after = this.containersNow();
    if (before !== after) this.violated(`9: a call of ${gateway} changed a container: ${before} became ${after}`);
    return value;
  }

  /** After every step of the world. */
  look(): void {
    const running = new Map<string, number>();
    for (const container of this.runtime.engine.containers.values()) {
      const { blueprint, state } = container;
      if (state !== 'running' || blueprint.installation !== this.installation || blueprint.role !== 'box') continue;
      if (blueprint.spec?.imageId !== blueprint.imageId) continue;
      running.set(blueprint.user, (running.get(blueprint.user) ?? 0) + 1);
    }
    for (const [user, count] of running) {
      const byHand = this.now() - (this.handled.get(user) ?? Number.NEGATIVE_INFINITY) < handMadeGraceMs;
      if (count > 1 && !byHand) this.violated(`1: ${count} boxes of ${user} run`);
    }
    for (const user of this.runtime.homes.keys()) this.homes.add(user);
    for (const user of this.homes) if (!this.runtime.homes.has(user)) this.violated(`3: the home of ${user} is gone`);
  }

  violated(what: string): void {
    if (this.violations.length >= 20) return;
    this.violations.push(`${(this.now() / 1_000).toFixed(3)} s: never ${what}`);
    this.onViolation(what);
  }

  private before(name: string, _keys: readonly string[], args: readonly string[]): void {
    if (name !== 'commit-status') return;
    const user = args[0] ?? '';
    const intent = Intent.parse(JSON.parse(args[6] ?? '{}'));
    const status = this.redis.hash(this.keyOf(user, 'status'));
    this.begunBefore = status.get('phase') === 'reaping' && status.get('containerId') === intent.containerId;
    this.needBefore = this.ledger.need(user, this.now());
    this.claimBefore = this.ledger.claim(user, this.now());
    this.holderBefore = this.ledger.holder(user, this.now());
  }

  private token(key: string, reply: Reply): void {
    if (reply !== 1) return;
    if (this.spent.has(key)) this.violated(`8: the token ${key} was let in twice, ${this.spent.get(key)} and now`);
    this.spent.set(key, this.now());
  }

  private after(name: string, keys: readonly string[], args: readonly string[], reply: Reply): void {
    this.count(`script:${name}`);
    if (name === 'lead') this.learnLeader(args, reply);
    else if (name === 'commit-status') this.committed(args, reply);
    else if (name === 'use-token') this.token(keys[0] ?? '', reply);
    else {
      this.ledger.learn(name, args, reply, this.now());
      if (name === 'wish' && args[3] === 'adopt') this.consents.add(args[5] ?? '');
    }
  }

  private learnLeader(args: readonly string[], reply: Reply): void {
    const answer = LeadAnswer.parse(JSON.parse(String(reply)));
    if (answer.leads) this.holders.set(args[1] ?? '', args[3] ?? '');
  }

  private committed(args: readonly string[], reply: Reply): void {
    const answer = CommitAnswer.parse(JSON.parse(String(reply)));
    if (answer.refused !== undefined) {
      this.count(`refused:${answer.refused}`);
      return;
    }
    const user = args[0] ?? '';
    const mode = this.redis.hash(`{spoonbox:${this.installation}}:mode`).get('mode') ?? 'run';
    this.permits.set(user, { process: this.holders.get(args[3] ?? '') ?? 'nobody', at: this.now(), used: false, mode });
    const intent = Intent.parse(JSON.parse(args[6] ?? '{}'));
    this.count(`intent:${intent.kind}:${intent.cause ?? ''}`);
    const { phase, body } = Committed.parse(JSON.parse(args[5] ?? '{}'));
    this.onCommit(user, phase, body.step);
    if (intent.kind === 'drain' && !this.begunBefore && !this.ledger.wasAsked(user, intent.cause ?? '')) {
      this.violated(`2: a reap of ${user} was committed because of "${intent.cause}", and nobody asked for it`);
    }
    const { cause = '' } = intent;
    const before = new Map([
      ['idle', this.needBefore],
      ['rollout', this.holderBefore],
      ['gave-way', this.claimBefore],
    ]);
    if (intent.kind !== 'drain' || !before.has(cause) || this.begunBefore) return;
    const what = `a reap (${cause})`;
    const need = before.get(cause) ?? null;
    if (need !== null) this.violated(`2: ${what} of ${user} was committed while ${need}`);
    const { at, running } = this.distrust;
    if (running.has(intent.containerId ?? '') && this.now() < at + grantedMs) {
      this.violated(`10: ${what} of ${user} was committed ${this.now() - at} ms after Redis was lost`);
    }
    if (cause !== 'rollout') this.ledger.reaped(user);
  }

  private changes(process: string, operation: string, container: SimContainer | undefined): void {
    if (container === undefined) return;
    const { blueprint, id, name } = container;
    const isOurs = blueprint.installation === this.installation && blueprint.spec?.imageId === blueprint.imageId;
    if (!isOurs && !this.consents.has(id)) this.violated(`4: ${operation} of ${name}, which is not ours`);
    this.permitted(process, operation, isOurs ? blueprint.user : name.replace('spoon-box-', ''));
  }

  private permitted(process: string, operation: string, user: string): void {
    this.count(`command:${operation}`);
    const permit = this.permits.get(user);
    if (permit === undefined || permit.process !== process) {
      this.violated(
        `6: ${operation} for ${user} by ${process}, and the last commit was ${permit?.process ?? 'nobody'}'s`,
      );
    } else if (this.now() - permit.at > fenceMs) {
      this.violated(`6: ${operation} for ${user} by ${process}, on a commit of ${this.now() - permit.at} ms ago`);
    } else if (permit.mode === 'pause' || (permit.mode === 'drain' && makesBoxes.has(operation))) {
      this.violated(`6: ${operation} for ${user} by ${process}, and the mode was ${permit.mode} at its commit`);
    } else if (permit.used) this.violated(`6: ${operation} for ${user} by ${process}: a second change on one commit`);
    else permit.used = true;
  }

  private keyOf(user: string, what: 'leases' | 'status'): string {
    return `{spoonbox:${this.installation}}:u:${user}:${what}`;
  }

  private containersNow(): string {
    const all = [...this.runtime.engine.containers.values()];
    return all.map(({ id, name, state, run }) => `${id} ${name} ${state} ${run}`).join();
  }

  private container(id: string): SimContainer | undefined {
    return this.runtime.engine.containers.get(id);
  }

  private count(what: string): void {
    this.reached.set(what, (this.reached.get(what) ?? 0) + 1);
  }
}

function decoded(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return null;
  }
}
