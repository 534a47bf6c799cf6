import { join } from 'node:path';
import type { BoxClass } from '#shared/box-class.ts';
import { EngineError } from '#shared/faults.ts';
import type { ClearBody } from '#shared/leftover.ts';
import { humanDuration } from '#shared/human-time.ts';
import { trashFolder } from '#shared/workdir.ts';
import { homesFolder } from '../runtime/home.ts';
import type { HostContainer, HostEngine } from '../runtime/host-port.ts';
import { formerContainers, isLiveState } from './former-containers.ts';
import { type FoundLeftover, type FoundLeftovers, seenOf } from './found.ts';
import { type JobDirectory, jobDirectories, namesInTrash } from './job-directories.ts';

/** A checkout in which something was written so lately may be somebody's work. */
const freshForMs = 3_600_000;

export interface LookAt {
  readonly engine: HostEngine;
  /** as this process sees it, and as the engine does */
  readonly workdir: string;
  readonly hostWorkdir: string;
  /** the default one: helpers run from its image, and its home is where homes are mounted */
  readonly boxClass: Pick<BoxClass, 'image' | 'user'>;
  /** looking through all homes takes its time: not for a summary */
  readonly withCheckouts: boolean;
}

/** All leftovers, by kind and name. Changes nothing. Rejects with an EngineError where the engine does not tell its containers. */
export async function findLeftovers(at: LookAt, signal: AbortSignal): Promise<FoundLeftovers> {
  const notLooked: string[] = [];
  const containers = await at.engine.containers(signal);
  const directories = await jobDirectories(at.workdir, (name, why) => notLooked.push(`${name}: ${why}`));
  const thrown = (await namesInTrash(at.workdir)).map(ofTrash);
  const checkouts = at.withCheckouts ? await checkoutsOf(at, notLooked, signal) : [];
  const items = [...formerOf(at, containers), ...ofDirectories(at, directories, containers), ...thrown, ...checkouts];
  items.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
  return { items, notLooked };
}

/** One of them as it is now, and no more looked at than it takes: there may be thousands to clear. null: it is none, or is gone. */
export async function findLeftover(
  at: Omit<LookAt, 'withCheckouts'>,
  { kind, name }: { kind: ClearBody['kind']; name: string },
  signal: AbortSignal,
): Promise<FoundLeftover | null> {
  const { engine, workdir } = at;
  const isIt = ({ leftover }: FoundLeftover): boolean => leftover.kind === kind && leftover.name === name;
  if (kind !== 'job-directory') {
    const container = await engine.containerNamed(name, signal);
    return (container && formerOf(at, [container]).find(isIt)) ?? null;
  }
  const directories = await jobDirectories(workdir, () => {}, [name]);
  const found = ofDirectories(at, directories, await engine.liveContainers(signal));
  return [...found, ...(await namesInTrash(workdir)).map(ofTrash)].find(isIt) ?? null;
}

function formerOf(
  { hostWorkdir, boxClass }: Pick<LookAt, 'hostWorkdir' | 'boxClass'>,
  containers: readonly HostContainer[],
) {
  const source = (user: string): string => join(hostWorkdir, homesFolder, user);
  return formerContainers(containers, { source, target: boxClass.user.home });
}

function ofDirectories(
  { hostWorkdir }: Pick<LookAt, 'hostWorkdir'>,
  directories: readonly JobDirectory[],
  containers: readonly HostContainer[],
): FoundLeftover[] {
  return directories.map((one) => ofDirectory(one, usersOf(join(hostWorkdir, one.name), containers)));
}

function orderOf({ leftover: { kind, name } }: FoundLeftover): string {
  return `${kind} ${name}`;
}

function ofDirectory({ name, inode, changedAtMs }: JobDirectory, mountedBy: string | null): FoundLeftover {
  const ageMs = Date.now() - changedAtMs;
  const fresh = ageMs < freshForMs ? `something was written there ${humanDuration(ageMs)} ago` : null;
  return {
    leftover: {
      kind: 'job-directory',
      name,
      seen: seenOf([name, inode, changedAtMs]),
      about: `checkout of a job of before, last written ${humanDuration(ageMs)} ago`,
      action: 'remove',
      inUse: mountedBy ?? fresh,
    },
    target: { type: 'directory', name, inode },
  };
}

function ofTrash(as: string): FoundLeftover {
  return {
    leftover: {
      kind: 'job-directory',
      name: `${trashFolder}/${as}`,
      seen: seenOf([as]),
      about: 'thrown away before, and not removed to its end',
      action: 'remove',
      inUse: null,
    },
    target: { type: 'trash', as },
  };
}

/** null: nothing that runs has it, or something below it, mounted by itself. */
function usersOf(source: string, containers: readonly HostContainer[]): string | null {
  const user = containers.find(
    ({ state, mounts }) =>
      isLiveState(state) && mounts.some((mount) => mount.source === source || mount.source.startsWith(`${source}/`)),
  );
  return user === undefined ? null : `the container ${user.name} runs, and has it mounted`;
}

async function checkoutsOf(
  { engine, boxClass }: LookAt,
  notLooked: string[],
  signal: AbortSignal,
): Promise<FoundLeftover[]> {
  try {
    const asked = { image: boxClass.image, homeTarget: boxClass.user.home };
    const { paths, isWhole } = await engine.deadCheckouts(asked, signal);
    if (!isWhole)
      notLooked.push(`checkouts in the homes: there are more dead ones than the ${paths.length} that are told`);
    return paths.map((path) => ({
      leftover: {
        kind: 'dead-checkout',
        name: `${homesFolder}/${path}`,
        seen: seenOf([path]),
        about: 'the git directory that it names is gone; what is in it is its user’s: they decide, in their box',
        action: 'none',
        inUse: null,
      },
      target: { type: 'none' },
    }));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    notLooked.push(`checkouts in the homes: ${error.fault.message}`);
    return [];
  }
}
