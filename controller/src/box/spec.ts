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
    .filter(([field, value]) => !isSame(leftFields.get(field), value))
    .map(([field]) => field);
}

/** Values of a spec: plain ones, and lists and records of them. Every pass compares, so nothing is built for it. */
function isSame(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (!isObject(left) || !isObject(right) || Array.isArray(left) !== Array.isArray(right)) return false;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => left[key] === right[key]);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
