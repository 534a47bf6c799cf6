import type { BoxClasses } from '#shared/box-class.ts';
import { type BoxStore, createBoxStore, type IdlePolicies } from '#shared/box-store.ts';
import { type InstallationId, keysOf, LeaseId, UserName } from '#shared/identity.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { defaultClassName, loadClasses } from '#shared/classes.ts';

/** The users of the benchmarks on the simulated engine, and what Redis knows of them. */

export const benchClasses: BoxClasses = loadClasses(new URL('../../../manifests/classes', import.meta.url).pathname, {
  boxImage: null,
  boxIdleMs: null,
});
export const benchPolicies: IdlePolicies = Object.fromEntries(
  [...benchClasses].flatMap(([name, { idle }]) => {
    const policy = [idle.detached, idle.attached] as const;
    return name === defaultClassName
      ? [
          [name, policy],
          ['*', policy],
        ]
      : [[name, policy]];
  }),
);

const atOnce = 200;
const pinTtlMs = 86_400_000;

export function userName(index: number): UserName {
  return UserName.parse(`user-${index.toString().padStart(5, '0')}`);
}

export function benchStore(redis: RedisPort, installation: InstallationId): BoxStore {
  return createBoxStore({ redis, keys: keysOf(installation), policies: benchPolicies, defaultClass: defaultClassName });
}

/** Users whose last lease has just been given back, so that their boxes are idle; every `heldEvery`th holds one (0 = none). */
export async function populate(store: BoxStore, users: number, heldEvery: number): Promise<void> {
  for (let first = 0; first < users; first += atOnce) {
    const indexes = Array.from({ length: Math.min(atOnce, users - first) }, (_, offset) => first + offset);
    await Promise.all(indexes.map((index) => populateOne(store, index, heldEvery > 0 && index % heldEvery === 0)));
  }
}

async function populateOne(store: BoxStore, index: number, isHeld: boolean): Promise<void> {
  const user = userName(index);
  const id = LeaseId.parse('populate');
  const taken = await store.take({ user, id, kind: 'pin', holder: 'bench', ttlMs: pinTtlMs, class: null });
  if (!taken.ok) throw new Error(`the lease of ${user} was refused: ${taken.refused} ${taken.detail}`);
  if (!isHeld) await store.release(user, id, 'bench');
}
