import type { Clock } from '#shared/clock.ts';
import { EngineError, type Fault } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import { unreadableWords } from '#shared/vault-field.ts';
import type { HomeWritten } from '#shared/vault-status.ts';
import type { UnreadableEntry } from '#shared/vault-store.ts';
import type { Command, CommandOf } from '../box/command.ts';
import type { Facts } from '../box/facts.ts';
import { openVault } from '../box/vault.ts';
import { type OnLoopEvent, unheard } from '../loop-events.ts';
import type { BoxRuntime, HomeVault } from '../runtime/port.ts';
import type { HomeVaults } from '../store/home-vaults.ts';
import { faultOf, type Operations, type Outcome } from './operations.ts';

/** A command as it left the commit that permits it. */
export interface Permit {
  readonly user: UserName;
  readonly facts: Facts;
  /** this process's monotonic time just before the commit was sent */
  readonly committedAtMs: number;
}

/** The container that it was about, and what else the next pass is to know. */
type Done = string | { readonly containerId: string; readonly vault: HomeWritten };

type Executors = { [Type in Command['type']]: (command: CommandOf<Type>, permit: Permit) => Promise<Done> };

/**
 * Does what a commit permitted, one engine call each. A type of command without an executor does not compile.
 * Resolves with the outcome that the next pass is to know, null where the end comes later or there is nothing to tell, or
 * `dropped` where nothing was done because the permit was too old.
 */
export class Executor {
  private readonly clock: Clock;
  private readonly fenceMs: number;
  private readonly signal: AbortSignal;
  private readonly executors: Executors;
  private readonly onEvent: OnLoopEvent;

  constructor(options: {
    runtime: BoxRuntime;
    operations: Operations;
    vaults: HomeVaults;
    clock: Clock;
    /** a command older than this since its commit was sent is dropped: another may lead by the time it arrives */
    fenceMs: number;
    signal: AbortSignal;
    onEvent?: OnLoopEvent;
  }) {
    const { runtime, operations, vaults, signal } = options;
    this.clock = options.clock;
    this.fenceMs = options.fenceMs;
    this.signal = signal;
    this.onEvent = options.onEvent ?? unheard;
    this.executors = {
      none: async () => '',
      forget: async () => '',
      pull: async (command, { user }) => {
        operations.pull(command.image, user);
        return '';
      },
      'ensure-home': async (command, { user }) => {
        await runtime.ensureHome(user, { uid: command.uid, gid: command.gid, image: command.image }, signal);
        return '';
      },
      create: async (command, { user }) =>
        (await runtime.create({ user, generation: command.generation, spec: command.spec }, signal)).id,
      start: async (command) => {
        await runtime.start(command.id, signal);
        return command.id;
      },
      unpause: async (command) => {
        await runtime.unpause(command.id, signal);
        return command.id;
      },
      rename: async (command) => {
        await runtime.rename(command.id, command.name, signal);
        return command.id;
      },
      probe: async (command, { facts }) => {
        const readiness = facts.boxClass?.readiness ?? { command: ['/bin/sh', '-c', ':'], timeout: 10_000 };
        await runtime.probe(command.id, readiness, signal);
        return command.id;
      },
      'write-vault': async (command, { user, facts }) => {
        const { unreadable, ...vault } = await vaults.read(user, facts.vault.revision).catch((error: unknown) => {
          throw new EngineError({ ...faultOf(error, openVault), operation: openVault });
        });
        const written = await writeIn(runtime, command.id, vault, signal);
        // The rest is written by now, and is again with the next try.
        if (written.failed.length === 0 && unreadable.length > 0) throw new EngineError(leftOut(unreadable));
        // Where this fails, the next change finds them done already.
        if (written.failed.length === 0) await vaults.settle(user, vault.revision).catch(() => {});
        return { containerId: command.id, vault: written };
      },
      stop: async (command, { user }) => {
        operations.stop(command.id, command.graceMs, user);
        return command.id;
      },
      remove: async (command) => {
        await runtime.remove(command.id, signal);
        return command.id;
      },
    };
  }

  async execute(command: Command, permit: Permit): Promise<Outcome | 'dropped' | null> {
    if (command.type === 'none' || command.type === 'forget') return null;
    if (this.signal.aborted || this.clock.monotonicMs() - permit.committedAtMs > this.fenceMs) {
      // At the end of a term that is as it should be.
      if (!this.signal.aborted) this.onEvent({ type: 'command-dropped', user: permit.user, command: command.type });
      return 'dropped';
    }
    const beganAtMs = this.clock.monotonicMs();
    const ended = (fault: Fault | null): void => {
      if (endsLater(command)) return;
      const tookMs = this.clock.monotonicMs() - beganAtMs;
      this.onEvent({
        type: 'command-ended',
        user: permit.user,
        command: command.type,
        tookMs,
        fault: fault?.kind ?? null,
      });
    };
    try {
      const done = await this.run(command, permit);
      ended(null);
      const told = typeof done === 'string' ? { containerId: done } : done;
      return endsLater(command) ? null : { command: command.type, fault: null, ...told };
    } catch (error) {
      if (this.signal.aborted) return null;
      const containerId = 'id' in command ? command.id : '';
      const fault = faultOf(error, command.type);
      ended(fault);
      return { command: command.type, containerId, fault };
    }
  }

  private run<Type extends Command['type']>(command: CommandOf<Type>, permit: Permit): Promise<Done> {
    const execute: (command: CommandOf<Type>, permit: Permit) => Promise<Done> = this.executors[command.type];
    return execute(command, permit);
  }
}

/** Of a vault that has only variables nothing is in the home: they reach what is started in the box by the gateways. */
async function writeIn(runtime: BoxRuntime, id: string, vault: HomeVault, signal: AbortSignal): Promise<HomeWritten> {
  const { revision, files, orders } = vault;
  if (files.length === 0 && orders.length === 0) return { revision, drift: [], failed: [] };
  return await runtime.writeVault(id, vault, signal);
}

function leftOut(unreadable: readonly UnreadableEntry[]): Fault {
  return { operation: openVault, kind: 'failed', status: null, message: unreadableWords(unreadable) };
}

/** Its end comes later, as a fact of its own; or there is none to wait for. */
export function endsLater({ type }: Command): boolean {
  return type === 'pull' || type === 'stop' || type === 'none' || type === 'forget';
}
