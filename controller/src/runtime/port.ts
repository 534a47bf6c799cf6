import type { BoxClass } from '#shared/box-class.ts';
import type { UserName } from '#shared/identity.ts';
import type { PullProgress } from '#shared/status.ts';
import type { VaultFile } from '#shared/vault.ts';
import type { VaultOrder } from '#shared/vault-orders.ts';
import type { HomeWritten } from '#shared/vault-status.ts';
import type { BoxSpec, ContainerView } from '../box/observed.ts';

/** What the image store says of one image reference. */
export type ImageView = { readonly state: 'present'; readonly id: string } | { readonly state: 'absent' };

/** What is at `{workdir}/homes/{user}`, without following links and without writing. */
export type HomeView =
  | { readonly state: 'present'; readonly uid: number }
  | { readonly state: 'absent' }
  /** a link, a file, or unreadable: nothing is mounted from there */
  | { readonly state: 'unusable'; readonly message: string };

export interface CreateBox {
  readonly user: UserName;
  readonly generation: number;
  readonly spec: BoxSpec;
}

/** What a container uses at one moment. */
export interface ContainerUsage {
  /** by the engine's clock: only its differences count */
  readonly readAtMs: number;
  /** processor time of all its processes since it was started */
  readonly cpuNs: number;
  /** without the page cache that the kernel can take back */
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly pids: number;
}

/** What is to be in a home, and what was asked of it. */
export interface HomeVault {
  readonly revision: number;
  readonly files: readonly VaultFile[];
  readonly orders: readonly VaultOrder[];
}

/** What a home takes up on its disk; `isWhole` is false where its own user cannot read all of it. */
export interface HomeUse {
  readonly usedBytes: number;
  readonly isWhole: boolean;
}

/** Something happened to a container or an image; what, only an `observe` tells. */
export type RuntimeEvent =
  /** a box of this user may have changed: ours by label, or any container that has or had its name */
  | { readonly type: 'box'; readonly user: UserName }
  /** an image was pulled, tagged or removed */
  | { readonly type: 'image' };

/**
 * The container engine as the reconciler sees it: one call each, no retries, no decisions. Adapters: Docker (here),
 * Kubernetes (later), the simulation (`test/sim`).
 *
 * Every method rejects with an `EngineError` whose fault names the operation, and with the signal's reason when aborted.
 * "Already so" is success (a started container that runs, a stopped one that does not, …). A rejected or timed-out
 * change may have taken effect: only `observe` tells.
 */
export interface BoxRuntime {
  /** All containers that could matter to any user (ours by label, or named like a box), in O(1) engine calls. */
  list(signal: AbortSignal): Promise<ContainerView[]>;
  /**
   * The containers that matter to one user, live: whatever has the box's name, and those of ours that carry the user's
   * label. The second look is skipped where the first finds our running box, unless `thorough`.
   */
  observe(user: UserName, options: { thorough: boolean }, signal: AbortSignal): Promise<ContainerView[]>;
  /** What a container uses. One that does not run is a fault of kind `conflict`; one that is paused answers. */
  stats(id: string, signal: AbortSignal): Promise<ContainerUsage>;
  /**
   * What a home takes up, told from inside the container that has it mounted at `target`, as its user: with the least claim on disk and
   * processor, and within a time limit. A container that does not run is a fault of kind `conflict`.
   */
  homeUse(id: string, target: string, signal: AbortSignal): Promise<HomeUse>;
  /** Running execs in a container, ours or not. */
  countExecs(id: string, signal: AbortSignal): Promise<number>;
  /** An adapter may remember it for as long as it hears of every change. */
  image(reference: string, signal: AbortSignal): Promise<ImageView>;
  /** Changes may not have been heard: what is remembered of images is asked for anew. */
  forgetImages(): void;
  home(user: UserName): Promise<HomeView>;

  create(box: CreateBox, signal: AbortSignal): Promise<{ id: string }>;
  start(id: string, signal: AbortSignal): Promise<void>;
  unpause(id: string, signal: AbortSignal): Promise<void>;
  rename(id: string, name: string, signal: AbortSignal): Promise<void>;
  /** Runs the class's readiness command in the box; a non-zero exit is a fault of kind `failed`. */
  probe(id: string, readiness: BoxClass['readiness'], signal: AbortSignal): Promise<void>;
  /** Runs a command in the box to its end, as its user; `output` is the beginning of what it printed, errors too. */
  runTool(
    id: string,
    tool: { readonly command: readonly string[]; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<{ exitCode: number; output: string }>;
  /**
   * Writes a vault into the home, by a command in the box as its user. What the user made of a file is left alone, and told. A box
   * in which it cannot be done at all is a fault of kind `failed`; what was written by then stays.
   */
  writeVault(id: string, vault: HomeVault, signal: AbortSignal): Promise<HomeWritten>;
  /** TERM, the grace, then KILL. Takes as long as the box takes. */
  stop(id: string, graceMs: number, signal: AbortSignal): Promise<void>;
  /** Never by force, never with volumes. */
  remove(id: string, signal: AbortSignal): Promise<void>;
  pull(reference: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void>;
  /** Makes `homes/{user}` with its owner, by a one-shot helper container. Nothing inside an existing home is touched. */
  ensureHome(user: UserName, owner: { uid: number; gid: number; image: string }, signal: AbortSignal): Promise<void>;
  /** The network that boxes run on: outside access, none to each other. */
  ensureNetwork(signal: AbortSignal): Promise<void>;
  /**
   * The sessions that run in a container, by the mark that their first process carries. What a user started in one to outlive it
   * (`nohup`, `setsid`, a tmux of their own) carries the mark too, and is not told.
   */
  sessionMarks(id: string, signal: AbortSignal): Promise<string[]>;
  /** Hangs up, then kills, what belongs to a session, but for what its user started to outlive it. A container that does not run is success. */
  endSession(id: string, session: string, signal: AbortSignal): Promise<void>;
  /** Removes helper containers that a crash left behind. */
  removeLeftHelpers(signal: AbortSignal): Promise<void>;
  /**
   * Follows the engine's events until aborted, reconnecting by itself. `onGap` is called after every (re)connect, once
   * the stream stands: what happened before may have been missed, so list again. `onDown` is called when it breaks.
   */
  follow(
    on: { event: (event: RuntimeEvent) => void; gap: () => void; down: (reason: string) => void },
    signal: AbortSignal,
  ): Promise<void>;
}
