import { boxNameOf, type InstallationId, type UserName } from '#shared/identity.ts';
import type { ContainerView } from './observed.ts';

/** Which of the containers in sight is the user's box, and which are in its way. */
export interface Ownership {
  /** the one of ours that is the box; null = none */
  readonly box: ContainerView | null;
  /** the box does not have its name, and the name is free */
  readonly misnamed: boolean;
  /** more of ours for this user, made by hand or by an accident: to be drained until one is left */
  readonly extras: readonly ContainerView[];
  /** a container that is not ours under the box's name: never touched without an operator's consent */
  readonly foreign: ContainerView | null;
}

/** Ours = our installation's label on a container that was made from the image which its own spec names. */
export function ownershipOf(
  user: UserName,
  installation: InstallationId,
  containers: readonly ContainerView[],
): Ownership {
  const name = boxNameOf(user);
  const ours = containers
    .filter((container) => isOurs(container, installation) && container.user === user)
    .toSorted((a, b) => rank(a, name) - rank(b, name) || b.createdAtS - a.createdAtS || (a.id < b.id ? -1 : 1));
  const named = containers.find((container) => container.name === name) ?? null;
  const box = ours[0] ?? null;
  const foreign = named !== null && !ours.includes(named) ? named : null;
  return { box, misnamed: box !== null && named === null, extras: ours.slice(1), foreign };
}

/** True for boxes of this installation; helpers and containers from images committed from a box are not. */
export function isOurs(container: ContainerView, installation: InstallationId): boolean {
  if (container.installation !== installation || container.role !== 'box') return false;
  return container.spec === null || container.spec.imageId === container.imageId;
}

/** Running first, then the one with the right name: what a user works in is never given up for what merely has the name. */
function rank(container: ContainerView, name: string): number {
  const ofState = isLive(container) ? 0 : container.state === 'removing' || container.state === 'dead' ? 4 : 2;
  return ofState + (container.name === name ? 0 : 1);
}

/** Processes of a user may exist in it. */
export function isLive(container: ContainerView): boolean {
  return container.state === 'running' || container.state === 'paused' || container.state === 'restarting';
}
