import type { BoxClass } from '#shared/box-class.ts';
import type { UserName } from '#shared/identity.ts';
import type { BoxSpec } from './observed.ts';

/** The spec that a box of this user and class would be made from now. `homesDir` is as the Docker host sees it. */
export function specOf(options: {
  user: UserName;
  boxClass: BoxClass;
  imageId: string;
  homesDir: string;
  network: string;
}): BoxSpec {
  const { user, boxClass, imageId, homesDir, network } = options;
  return {
    class: boxClass.name,
    imageId,
    command: boxClass.command,
    environment: {
      HOME: boxClass.user.home,
      SPOONBOX_USER: user,
      SHELL: boxClass.shell[0] ?? '',
      ...boxClass.environment,
    },
    uid: boxClass.user.uid,
    gid: boxClass.user.gid,
    homeSource: `${homesDir}/${user}`,
    homeTarget: boxClass.user.home,
    memoryBytes: boxClass.limits.memory,
    cpus: boxClass.limits.cpus,
    pids: boxClass.limits.pids,
    capabilities: boxClass.security.capabilities.toSorted(),
    noNewPrivileges: boxClass.security.noNewPrivileges,
    stopGraceMs: boxClass.stopGrace,
    network,
  };
}

/** Names of the fields in which two specs differ; the order of an environment does not count. */
export function differingFields(left: BoxSpec, right: BoxSpec): string[] {
  const leftFields = new Map<string, unknown>(Object.entries(left));
  return Object.entries(right)
    .filter(([field, value]) => canonical(leftFields.get(field)) !== canonical(value))
    .map(([field]) => field);
}

function canonical(value: unknown): string {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
