import { type InstallationId, UserName, userOfBoxName } from '#shared/identity.ts';
import type { ContainerView } from '../box/observed.ts';
import { isOurs } from '../box/ownership.ts';

/**
 * The containers of a list, by user. One counts for the user of its label, if it is ours, and for the known user whose box name
 * it has: another installation's boxes on the same engine are nobody's here.
 */
export function containersByUser(
  containers: readonly ContainerView[],
  known: ReadonlySet<UserName>,
  installation: InstallationId,
): Map<UserName, ContainerView[]> {
  const byUser = new Map<UserName, ContainerView[]>();
  const add = (user: UserName, container: ContainerView): void => {
    const views = byUser.get(user);
    if (views === undefined) byUser.set(user, [container]);
    else if (!views.includes(container)) views.push(container);
  };
  for (const container of containers) {
    const labelled = UserName.safeParse(container.user);
    if (labelled.success && isOurs(container, installation)) add(labelled.data, container);
    const named = userOfBoxName(container.name);
    if (named !== null && known.has(named)) add(named, container);
  }
  return byUser;
}
