import type { Clock } from '#shared/clock.ts';
import { EngineError, type FaultKind } from '#shared/faults.ts';
import type { ContainerState, ContainerView } from '../../controller/src/box/observed.ts';

/** How PID 1 of a container behaves: told by the first word of its command; anything else ends on TERM. */
export const simCommands = { deaf: 'sim:deaf', exitsWith3: 'sim:exits-with-3' } as const;

/** What a container of the simulation is made from. */
export type SimBlueprint = Omit<ContainerView, 'id' | 'state' | 'createdAtS' | 'exitCode' | 'oomKilled'>;

export interface SimContainer {
  readonly id: string;
  readonly blueprint: SimBlueprint;
  readonly createdAtS: number;
  name: string;
  state: ContainerState;
  exitCode: number;
  oomKilled: boolean;
  /** execs that run */
  execs: number;
  /** the engine is still making it: it has its name and is listed, and is found by nobody */
  inProgress: boolean;
  /** the engine fails to remove its files: it stays, dead */
  unremovable: boolean;
  /** moves at every start, so that a KILL that comes late hits nothing but the run it was for */
  run: number;
}

export interface SimEvent {
  readonly container: SimContainer;
  /** of a rename; '' otherwise */
  readonly oldName: string;
}

/** What runs in containers beside their first process. */
export interface SimInside {
  /** the marks of the sessions that run */
  marks(container: SimContainer): string[];
  end(container: SimContainer, session: string): void;
}

/** The simulated engine's clock begins in 2023: an age is a difference, and a seed gives the same times again. */
const epochS = 1_700_000_000;

/**
 * A container engine in memory, with the answers of the real one (Docker 20.10): which request is 404 and which 409, what
 * stays after a refusal, which events follow. Nothing in it takes time but what takes time in a box: a stop grace.
 */
export class SimEngine {
  readonly containers = new Map<string, SimContainer>();
  /** reference → id */
  readonly images = new Map<string, string>();
  readonly networks = new Set<string>();
  inside: SimInside = { marks: () => [], end: () => {} };
  private readonly names = new Map<string, SimContainer>();
  private readonly byUser = new Map<string, Set<SimContainer>>();
  private readonly listeners = new Set<(event: SimEvent) => void>();
  private readonly clock: Clock;
  private made = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  named(name: string): SimContainer | undefined {
    const container = this.names.get(name);
    return container?.inProgress ? undefined : container;
  }

  /** Those with this user's label that can be looked at, whoever made them. */
  labelled(user: string): SimContainer[] {
    return [...(this.byUser.get(user) ?? [])].filter(({ inProgress }) => !inProgress);
  }

  container(operation: string, id: string): SimContainer {
    const container = this.containers.get(id);
    if (container === undefined || container.inProgress) throw refusal(operation, 404, `No such container: ${id}`);
    return container;
  }

  create(operation: string, blueprint: SimBlueprint): SimContainer {
    return this.beginCreate(operation, blueprint)();
  }

  /** As a create that lasts, or whose client has gone: until the answer is called, its name is taken by what nobody finds. */
  beginCreate(operation: string, blueprint: SimBlueprint): () => SimContainer {
    if (![...this.images.values()].includes(blueprint.imageId)) {
      throw refusal(operation, 404, `No such image: ${blueprint.imageId}`);
    }
    this.refuseTaken(operation, blueprint.name);
    this.made += 1;
    const container: SimContainer = {
      id: this.made.toString(16).padStart(64, '0'),
      blueprint,
      createdAtS: Math.floor(epochS + this.clock.monotonicMs() / 1_000),
      name: blueprint.name,
      state: 'created',
      exitCode: 0,
      oomKilled: false,
      execs: 0,
      inProgress: true,
      unremovable: false,
      run: 0,
    };
    this.containers.set(container.id, container);
    this.names.set(container.name, container);
    this.ofUser(container).add(container);
    return () => {
      container.inProgress = false;
      this.tell(container);
      return container;
    };
  }

  start(operation: string, id: string): void {
    const container = this.container(operation, id);
    if (container.state === 'running' || container.state === 'restarting') return;
    if (container.state === 'removing' || container.state === 'dead') {
      throw refusal(operation, 409, 'container is marked for removal and cannot be started');
    }
    if (container.state === 'paused') {
      throw refusal(operation, 409, 'cannot start a paused container, try unpause instead');
    }
    const network = container.blueprint.spec?.network;
    if (network !== undefined && !this.networks.has(network)) {
      throw refusal(operation, 404, `network ${network} not found`);
    }
    container.state = 'running';
    container.oomKilled = false;
    container.run += 1;
    this.tell(container);
    if (commandOf(container) === simCommands.exitsWith3) this.end(container, 3);
  }

  pause(operation: string, id: string): void {
    const container = this.container(operation, id);
    if (container.state === 'paused') throw refusal(operation, 409, `Container ${id} is already paused`);
    if (container.state !== 'running') throw refusal(operation, 409, `Container ${id} is ${whyNot(container)}`);
    container.state = 'paused';
    this.tell(container);
  }

  unpause(operation: string, id: string): void {
    const container = this.container(operation, id);
    if (container.state !== 'paused') throw refusal(operation, 500, `Container ${id} is not paused`);
    container.state = 'running';
    this.tell(container);
  }

  rename(operation: string, id: string, name: string): void {
    const container = this.container(operation, id);
    this.refuseTaken(operation, name);
    if (container.state === 'restarting') throw refusal(operation, 404, `sandbox of ${id} not found`);
    const oldName = container.name;
    this.names.delete(oldName);
    this.names.set(name, container);
    container.name = name;
    this.tell(container, oldName);
  }

  /**
   * Resolves when the container has ended: at once where it listens to TERM, after the grace where it does not. A paused one
   * goes on first; one that waits for its restart does not get it, and keeps the exit code of its last end.
   */
  async stop(operation: string, id: string, graceMs: number): Promise<void> {
    const container = this.container(operation, id);
    if (container.state === 'restarting') this.end(container, container.exitCode);
    if (container.state === 'paused') this.unpause(operation, id);
    if (container.state !== 'running') return;
    const { run } = container;
    if (commandOf(container) === simCommands.deaf) {
      await new Promise<void>((resolve) => this.clock.after(graceMs, resolve));
      if (container.run === run) this.kill(container);
    } else this.end(container, 0);
    this.tell(container);
  }

  kill(container: SimContainer, oomKilled = false): void {
    if (container.state !== 'running' && container.state !== 'paused') return;
    container.oomKilled = oomKilled;
    this.end(container, 137);
  }

  /** States that the engine brings a container into by itself. */
  becomes(container: SimContainer, state: ContainerState): void {
    container.state = state;
    this.tell(container);
  }

  remove(operation: string, id: string): void {
    const container = this.container(operation, id);
    const { state } = container;
    if (state === 'removing') throw refusal(operation, 409, `removal of container ${id} is already in progress`);
    if (state === 'running' || state === 'paused' || state === 'restarting') {
      throw refusal(operation, 409, `You cannot remove a ${state} container ${id}. Stop the container first`);
    }
    if (container.unremovable) {
      container.state = 'dead';
      throw refusal(operation, 500, `container ${id}: failed to remove root filesystem: operation not permitted`);
    }
    this.containers.delete(id);
    this.names.delete(container.name);
    this.ofUser(container).delete(container);
    this.tell(container);
  }

  /** The container must run, or an exec in it is refused. */
  runsFor(operation: string, id: string): SimContainer {
    const container = this.container(operation, id);
    if (container.state === 'running') return container;
    const why = container.state === 'paused' ? 'paused, unpause the container before exec' : whyNot(container);
    throw refusal(operation, 409, `Container ${id} is ${why}`);
  }

  listen(onEvent: (event: SimEvent) => void): () => void {
    this.listeners.add(onEvent);
    return () => this.listeners.delete(onEvent);
  }

  private ofUser({ blueprint: { user } }: SimContainer): Set<SimContainer> {
    const known = this.byUser.get(user) ?? new Set();
    this.byUser.set(user, known);
    return known;
  }

  private end(container: SimContainer, exitCode: number): void {
    container.state = 'exited';
    container.exitCode = exitCode;
    container.execs = 0;
    this.tell(container);
  }

  private refuseTaken(operation: string, name: string): void {
    const holder = this.names.get(name);
    if (holder === undefined) return;
    const who = `is already in use by container "${holder.id}"`;
    throw refusal(operation, 409, `Conflict. The container name "/${name}" ${who}`);
  }

  /** As from a stream: never inside the call that caused it. */
  private tell(container: SimContainer, oldName = ''): void {
    const event = { container, oldName };
    for (const listener of this.listeners) queueMicrotask(() => this.listeners.has(listener) && listener(event));
  }
}

const kinds: Readonly<Record<number, FaultKind>> = { 400: 'invalid', 404: 'not-found', 409: 'conflict', 500: 'failed' };

export function refusal(operation: string, status: number, message: string): EngineError {
  return new EngineError({ operation, kind: kinds[status] ?? 'failed', status, message });
}

function commandOf(container: SimContainer): string {
  return container.blueprint.spec?.command[0] ?? '';
}

function whyNot({ state }: SimContainer): string {
  return state === 'restarting' ? 'restarting, wait until the container is running' : 'not running';
}
