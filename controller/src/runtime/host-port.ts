import type { ImageView } from './port.ts';

/** What the engine says of itself and of its machine. */
export interface EngineAbout {
  /** `20.10.24` */
  readonly version: string;
  readonly memoryBytes: number;
  /** its machine's clock, ms since 1970 */
  readonly timeMs: number;
  /** where it keeps images and containers, on its machine */
  readonly dataRoot: string;
  /** limits of a class that this kernel does not enforce: `memory`, `cpus`, `pids`, `swap` */
  readonly unenforced: readonly string[];
}

/** Of one file system. */
export interface DiskRoom {
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** 0 of 0 where it does not count them */
  readonly freeFiles: number;
  readonly totalFiles: number;
}

/** Of a container in which something runs, or is about to again. */
export const liveStates = ['running', 'paused', 'restarting'] as const;

/** Any container on the machine, whoever made it. */
export interface HostContainer {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  /** seconds since 1970 */
  readonly createdAtS: number;
  /** of the installation that made it; '' = no Spoonbox did */
  readonly installation: string;
  /** `box`, `helper`; '' where no Spoonbox made it */
  readonly role: string;
  /** its memory cap, where it is a box; else 0 */
  readonly memoryBytes: number;
  readonly mounts: readonly { readonly source: string; readonly target: string }[];
}

export interface DeadCheckouts {
  /** below `homes`; in no order */
  readonly paths: readonly string[];
  /** false: there are more */
  readonly isWhole: boolean;
}

/** What is thrown away: a directory below the work directory, as it was seen. */
export interface ThrownAway {
  /** one path segment */
  readonly name: string;
  /** the directory's inode and that of the `repo` in it: another one of this name is left alone */
  readonly inode: string;
  /** its name in the trash */
  readonly as: string;
}

/**
 * The machine that an engine runs on, for operators: what `doctor` asks, and what a clean-up takes away. Nothing of it is used by
 * a pass. One call each, no decisions; what is not a read says so. Rejects with an `EngineError`, and with the signal's reason.
 */
export interface HostEngine {
  about(signal: AbortSignal): Promise<EngineAbout>;
  image(reference: string, signal: AbortSignal): Promise<ImageView>;
  /** Rejects with a StartError where the two work directories are not the same one. */
  verifyWorkdir(image: string, signal: AbortSignal): Promise<void>;
  /** Of the file system that containers write to; null where the image cannot tell. */
  dataRoom(image: string, signal: AbortSignal): Promise<DiskRoom | null>;
  /** Runs a command in a new container of this image, without a network, a home and capabilities. */
  tryOut(
    tried: { image: string; command: readonly string[]; user: string },
    signal: AbortSignal,
  ): Promise<{ exitCode: number; output: string }>;
  containers(signal: AbortSignal): Promise<HostContainer[]>;
  /** In a state of `liveStates`. */
  liveContainers(signal: AbortSignal): Promise<HostContainer[]>;
  /** null: none is called so */
  containerNamed(name: string, signal: AbortSignal): Promise<HostContainer | null>;
  /** null: there is none with this id any more */
  container(id: string, signal: AbortSignal): Promise<HostContainer | null>;
  countExecs(id: string, signal: AbortSignal): Promise<number>;
  /** Checkouts below `homes/{user}/Code` whose git directory is gone. Links are not followed. */
  deadCheckouts(asked: { image: string; homeTarget: string }, signal: AbortSignal): Promise<DeadCheckouts>;

  /** TERM, the engine's own grace, then KILL. */
  stop(id: string, signal: AbortSignal): Promise<void>;
  /** Never by force, never with volumes. */
  remove(id: string, signal: AbortSignal): Promise<void>;
  /** Moves a directory into the trash, in one step; false where it is not the one that was seen. */
  throwAway(image: string, thrown: ThrownAway, signal: AbortSignal): Promise<boolean>;
  /** Removes what the trash has under this name, for as long as a helper may live; false: something is left. */
  emptyTrash(image: string, as: string, signal: AbortSignal): Promise<boolean>;
}
