import { randomBytes } from 'node:crypto';
import { EngineError, type Fault } from '#shared/faults.ts';
import { type InstallationId, networkNameOf, UserName } from '#shared/identity.ts';
import type { BoxSpec } from '../../controller/src/box/observed.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';

/** How PID 1 of a box behaves. A deaf one notices TERM, and goes on. */
export type Behaviour = 'ends-on-term' | 'deaf' | 'exits-with-3';

/** A runtime with a world around it, in which somebody does things by hand. */
export interface RuntimeHarness {
  readonly runtime: BoxRuntime;
  readonly installation: InstallationId;
  /** present, with its id */
  readonly image: { readonly reference: string; readonly id: string };
  /** as the engine sees it */
  readonly homesDir: string;
  readonly commands: Readonly<Record<Behaviour, string[]>>;
  /**
   * `listens` ends once PID 1 has its trap: a TERM that comes earlier is lost, or ends a box that is to be deaf. `heard` ends once
   * a deaf one has had its TERM.
   */
  readonly probes: Readonly<Record<'succeeds' | 'fails' | 'hangs' | 'listens' | 'heard', string[]>>;
  readonly hands: {
    kill(id: string): Promise<void>;
    pause(id: string): Promise<void>;
    rename(id: string, name: string): Promise<void>;
    removeByForce(id: string): Promise<void>;
    createForeign(name: string): Promise<string>;
    startExec(id: string, command: string[]): Promise<void>;
    /** A shell on a terminal of its own, as a gateway starts it. */
    startShell(id: string, session: string): Promise<void>;
    makeHome(user: string): Promise<void>;
    linkHome(user: string, target: string): Promise<void>;
    /** Resolves while the engine is still making a container of this name; what it resolves with waits for the end, and answers the id. */
    beginCreate(name: string): Promise<() => Promise<string>>;
    /** Of a box that runs: kills it, and resolves while the engine is removing it; what it resolves with waits for the end. */
    beginRemoval(id: string): Promise<() => Promise<void>>;
    /** Makes the engine fail to remove this box, until the answer is called; null where it cannot be made to. */
    blockRemoval(id: string): Promise<(() => Promise<void>) | null>;
    /** A container that ends with 3 again and again, and that the engine is about to start once more in a while. */
    createRestarting(name: string): Promise<string>;
  };
  dispose(): Promise<void>;
}

/** A signal for calls that are not cut off. */
export const never = new AbortController().signal;

/** Starts a box whose PID 1 has a trap, and waits for that trap. */
export async function startListening({ runtime, probes }: RuntimeHarness, id: string): Promise<void> {
  await runtime.start(id, never);
  await runtime.probe(id, { command: probes.listens, timeout: 30_000 }, never);
}

/** The simplest box: a test changes what it is about. */
export function plainSpec(
  harness: Pick<RuntimeHarness, 'installation' | 'image' | 'homesDir' | 'commands'>,
  user: UserName,
  changes: Partial<BoxSpec> = {},
): BoxSpec {
  return {
    class: 'default',
    imageId: harness.image.id,
    command: harness.commands['ends-on-term'],
    environment: { LANG: 'C.UTF-8' },
    uid: 1000,
    gid: 1000,
    homeSource: `${harness.homesDir}/${user}`,
    homeTarget: '/home/spoon',
    memoryBytes: 256 * 1024 ** 2,
    cpus: 1,
    pids: 64,
    capabilities: ['NET_BIND_SERVICE'],
    noNewPrivileges: true,
    stopGraceMs: 2_000,
    network: networkNameOf(harness.installation),
    ...changes,
  };
}

/** Container names are one namespace for the whole engine, so users of tests are random. */
export function newUser(): UserName {
  return UserName.parse(`Test.${randomBytes(6).toString('hex')}`);
}

export async function faultOf(call: Promise<unknown>): Promise<Fault> {
  const error = await call.then(
    () => new Error('the call succeeded, where a fault was expected'),
    (reason: unknown) => reason,
  );
  if (error instanceof EngineError) return error.fault;
  throw error;
}
