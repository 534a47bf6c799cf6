import type { FaultKind } from '#shared/faults.ts';
import { boxNameOf } from '#shared/identity.ts';
import type { Desired } from '#shared/lease.ts';
import type { Command } from '../../controller/src/box/command.ts';
import type { BoxContext } from '../../controller/src/box/context.ts';
import type { Facts } from '../../controller/src/box/facts.ts';
import { consentedForeign } from '../../controller/src/box/adopting.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import { isLive, ownershipOf } from '../../controller/src/box/ownership.ts';
import { type Plan, planNext } from '../../controller/src/box/plan.ts';
import type { StateValue } from '../../controller/src/box/snapshot.ts';
import { alice, containerOf, desiredOf, factsOf, imageId, installation, now, runMode } from './box-facts.ts';

const detachedIdleMs = 1_800_000;
/** A pass that asks for another at once takes this long; one that waits for nothing is found by the resync. */
const passMs = 10;
const resyncMs = 60_000;

/** What goes wrong with the one command of a pass; an engine that does not answer may have done it all the same. */
export interface Mishap {
  readonly kind: FaultKind;
  readonly hasEffect: boolean;
}

/** One user, one engine and one memory, without I/O: what the machine makes of them pass by pass. */
export class TinyWorld {
  now = now;
  desired: Desired | null = desiredOf();
  /** one job lease that is renewed for as long as it is set */
  hasLease = true;
  lastActivityAt = now;
  containers: ContainerView[] = [];
  image: 'present' | 'wanted' = 'present';
  home: 'present' | 'absent' = 'present';
  foreignExecs = 0;
  mode = runMode;
  stored: { value: StateValue; context: BoxContext } | null = null;
  last: Facts['last'] = null;
  /** a box dies this long after its start; null = never */
  diesAfterMs: number | null = null;
  readonly commands: { readonly type: Command['type']; readonly at: number; readonly id: string }[] = [];
  private readonly startedAt = new Map<string, number>();
  private made = 0;

  facts(): Facts {
    const ownership = ownershipOf(alice, installation, this.containers);
    const keepUntil = this.stored?.context.keepUntil ?? 0;
    const heldUntil = (this.hasLease ? this.now + 30_000 : this.lastActivityAt) + detachedIdleMs;
    const facts = factsOf({
      now: this.now,
      desired: this.desired,
      hasLease: this.hasLease,
      wantedUntil: Math.max(this.desired === null ? 0 : heldUntil, keepUntil),
      nextLeaseExpiry: this.hasLease ? this.now + 30_000 : null,
      ownership,
      image: this.image === 'present' ? { state: 'present', id: imageId } : { state: 'wanted' },
      home: this.home === 'present' ? { state: 'present', rightOwner: true } : { state: 'absent' },
      last: this.last,
      mode: this.mode,
    });
    const known = this.image === 'present' ? facts : { ...facts, spec: null };
    return consentedForeign(known) === null ? known : { ...known, foreignExecs: this.foreignExecs };
  }

  /** One pass, and the time until the next. */
  pass(mishap: Mishap | null): Plan {
    const facts = this.facts();
    const plan = planNext(this.stored, facts);
    const isNothing = this.stored === null && plan.phase === 'absent';
    this.stored = isNothing ? null : { value: plan.value, context: plan.context };
    this.last = null;
    const { command } = plan;
    if (command.type === 'forget') {
      this.desired = null;
      this.stored = null;
    } else if (command.type !== 'none') {
      this.commands.push({ type: command.type, at: this.now, id: 'id' in command ? command.id : '' });
      this.execute(command, mishap);
    }
    const waitsMs = this.last !== null ? 0 : (plan.requeueAfterMs ?? resyncMs);
    this.tick(Math.max(waitsMs, passMs));
    return plan;
  }

  /** Nothing of ours is there, and nothing is remembered. */
  get isForgotten(): boolean {
    return this.desired === null && this.stored === null && this.ours.length === 0;
  }

  get ours(): ContainerView[] {
    return this.containers.filter((container) => container.installation === installation);
  }

  private execute(command: Command, mishap: Mishap | null): void {
    const id = 'id' in command ? command.id : '';
    const refused = this.refusal(command, id);
    const kind = refused ?? mishap?.kind ?? null;
    if (refused === null && (mishap === null || mishap.hasEffect)) this.change(command, id);
    const madeId = command.type === 'create' && kind === null ? (this.containers.at(-1)?.id ?? '') : id;
    const fault =
      kind === null ? null : { kind, operation: command.type, status: null, message: `${kind} in the test` };
    this.last = { command: command.type, containerId: madeId, fault };
  }

  /** What an engine answers in this state of things. */
  private refusal(command: Command, id: string): FaultKind | null {
    if (command.type === 'create') {
      return this.containers.some(({ name }) => name === boxNameOf(alice)) ? 'conflict' : null;
    }
    if (!('id' in command)) return null;
    const container = this.containers.find((candidate) => candidate.id === id);
    if (container === undefined) return 'not-found';
    const { state } = container;
    switch (command.type) {
      case 'start':
        return state === 'paused' || state === 'removing' || state === 'dead' ? 'conflict' : null;
      case 'unpause':
        return state === 'paused' ? null : 'conflict';
      case 'probe':
        return state === 'running' ? null : 'conflict';
      case 'remove':
        return isLive(container) || state === 'removing' ? 'conflict' : null;
      case 'rename':
        return this.containers.some(({ name }) => name === command.name) ? 'conflict' : null;
      default:
        return null;
    }
  }

  private change(command: Command, id: string): void {
    switch (command.type) {
      case 'pull':
        this.image = 'present';
        return;
      case 'ensure-home':
        this.home = 'present';
        return;
      case 'create': {
        this.made += 1;
        const { generation, spec } = command;
        const createdAtS = Math.floor(this.now / 1_000);
        this.containers.push(containerOf({ id: `made-${this.made}`, state: 'created', generation, spec, createdAtS }));
        return;
      }
      case 'start':
        this.startedAt.set(id, this.now);
        this.set(id, { state: 'running', exitCode: null });
        return;
      case 'unpause':
        this.set(id, { state: 'running' });
        return;
      case 'rename':
        this.set(id, { name: command.name });
        return;
      case 'stop':
        this.set(id, { state: 'exited', exitCode: 143 });
        return;
      case 'remove':
        this.containers = this.containers.filter((container) => container.id !== id);
        return;
      default:
        return;
    }
  }

  /** Time passes, until the wait is over or a box dies, which an event tells of. */
  private tick(ms: number): void {
    this.now += Math.min(ms, ...this.deaths().map(({ inMs }) => Math.max(inMs, passMs)));
    this.containers = this.containers.filter(({ state }) => state !== 'removing');
    for (const { id, state } of this.containers) if (state === 'restarting') this.set(id, { state: 'running' });
    for (const { id, inMs } of this.deaths()) if (inMs <= 0) this.set(id, { state: 'exited', exitCode: 1 });
  }

  private deaths(): { id: string; inMs: number }[] {
    const { diesAfterMs } = this;
    if (diesAfterMs === null) return [];
    return this.containers.flatMap(({ id, state }) => {
      const startedAt = this.startedAt.get(id);
      return startedAt === undefined || state !== 'running' ? [] : [{ id, inMs: startedAt + diesAfterMs - this.now }];
    });
  }

  private set(id: string, changes: Partial<ContainerView>): void {
    this.containers = this.containers.map((container) =>
      container.id === id ? { ...container, ...changes } : container,
    );
  }
}
