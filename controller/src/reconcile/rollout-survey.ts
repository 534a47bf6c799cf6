import type { BoxClass } from '#shared/box-class.ts';
import type { BoxStore } from '#shared/box-store.ts';
import { defaultClassName } from '#shared/classes.ts';
import { networkNameOf } from '#shared/identity.ts';
import type { ClassRollout, WaitingBox } from '#shared/rollout.ts';
import type { BoxRecord } from '#shared/status.ts';
import { humanCount } from '#shared/human-count.ts';
import type { ContainerView } from '../box/observed.ts';
import { ownershipOf } from '../box/ownership.ts';
import { differingFields, specOf } from '../box/spec.ts';
import { containersByUser } from '../source/by-user.ts';
import { eachAtOnce } from '../sweep/each.ts';
import type { Sources } from './gather.ts';

/** Users who are read at once. */
const readsAtOnce = 8;

interface Tally extends ClassRollout {
  upToDate: number;
  readonly waiting: WaitingBox[];
  readonly replacing: ClassRollout['replacing'];
}

/**
 * For each class, which boxes are as they would be made now, and who keeps the others from it. Reads one list of containers, each
 * class's image and each user's record; changes nothing. Any process may ask. A box whose class is not configured is in none of them.
 */
export async function surveyRollout(
  sources: Pick<Sources, 'runtime' | 'classes' | 'installation' | 'homesDir'>,
  store: Pick<BoxStore, 'read' | 'users'>,
  signal: AbortSignal,
): Promise<ClassRollout[]> {
  const { runtime, classes, installation } = sources;
  const known = new Set(await store.users());
  const byUser = containersByUser(await runtime.list(signal), known, installation);
  const tallies = new Map<string, Tally>();
  for (const boxClass of classes.values()) {
    const { name, image, pullPolicy } = boxClass;
    const view = await runtime.image(image, signal);
    const imageId = view.state === 'present' ? view.id : null;
    tallies.set(name, { class: name, image, imageId, pullPolicy, upToDate: 0, waiting: [], replacing: [] });
  }
  await eachAtOnce([...byUser], readsAtOnce, async ([user, containers]) => {
    signal.throwIfAborted();
    const { box } = ownershipOf(user, installation, containers);
    if (box === null) return;
    const record = await store.read(user);
    const className = record.desired?.class ?? defaultClassName;
    const [tally, boxClass] = [tallies.get(className), classes.get(className)];
    if (tally === undefined || boxClass === undefined) return;
    const fields = driftFrom(sources, { box, record, boxClass, imageId: tally.imageId });
    if (fields.length === 0) tally.upToDate += 1;
    else if (record.status?.phase === 'reaping') tally.replacing.push(user);
    else tally.waiting.push({ user, fields, heldBy: holdersOf(record, box) });
  });
  for (const { waiting, replacing } of tallies.values()) {
    waiting.sort((a, b) => (a.user < b.user ? -1 : 1));
    replacing.sort();
  }
  return [...tallies.values()];
}

/** While its image is not there, nobody knows what would be made: the image does not count then. */
function driftFrom(
  { installation, homesDir }: Pick<Sources, 'installation' | 'homesDir'>,
  of: { box: ContainerView; record: BoxRecord; boxClass: BoxClass; imageId: string | null },
): string[] {
  const { box, record, boxClass } = of;
  if (box.spec === null) return ['spec'];
  const imageId = of.imageId ?? box.spec.imageId;
  const network = networkNameOf(installation);
  return differingFields(box.spec, specOf({ user: record.user, boxClass, imageId, homesDir, network }));
}

/** Those for whom a rollout waits, as the commit script has it. */
function holdersOf({ leases, sessions, holds, now }: BoxRecord, box: ContainerView): string[] {
  // Of who is there a lease tells, unless it was lost with its gateway.
  const isAway = (detachedAt: number): boolean => detachedAt > 0 || leases.length === 0;
  const away = sessions.filter(({ containerId, detachedAt }) => containerId === box.id && isAway(detachedAt)).length;
  return [
    ...leases.map(({ kind, holder }) => `${kind} lease of ${holder}`),
    ...(away > 0 ? [`${humanCount(away, 'terminal')} whose user may come back`] : []),
    ...holds.filter(({ by, untilMs }) => by === 'keep' && untilMs > now).map(({ holder }) => `kept: ${holder}`),
  ];
}
