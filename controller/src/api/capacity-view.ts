import type { BoxClasses } from '#shared/box-class.ts';
import type { Limits } from '#shared/config.ts';
import { type Lease, orderOf, priorityOf } from '#shared/lease.ts';
import type { CapacityView } from '#shared/operator-schemas.ts';
import type { BoxRecord } from '#shared/status.ts';
import { type Standing, storedStandingOf } from '../capacity/standing.ts';

interface Known {
  readonly record: BoxRecord;
  readonly standing: Standing;
}

/** Who has a place, and who waits in line for one: as the last passes wrote it down, so that every process can answer. Pure. */
export function capacityViewOf(
  now: number,
  records: readonly BoxRecord[],
  { classes, limits }: { classes: BoxClasses; limits: Limits },
): CapacityView {
  const known = records.flatMap((record): Known[] => {
    const standing = storedStandingOf(record, classes);
    return standing === null ? [] : [{ record, standing }];
  });
  const placed = known.filter(({ standing }) => standing.boxes > 0);
  const line = known
    .filter(({ standing }) => standing.waits !== null)
    .toSorted((a, b) => order(a) - order(b) || byName(a, b));
  return {
    now,
    limits,
    taken: {
      boxes: placed.length,
      memoryBytes: placed.reduce((sum, { standing }) => sum + standing.memoryBytes, 0),
    },
    waiting: line.map(({ record, standing }, index) => ({
      user: record.user,
      position: index + 1,
      since: Math.min(...record.leases.map(({ takenAt }) => takenAt)),
      priority: priorityOf(firstOf(record.leases)),
      memoryBytes: standing.waits?.memoryBytes ?? 0,
      for: record.leases.map(holderOf),
    })),
    boxes: placed.toSorted(byName).map(({ record, standing }) => {
      const { state, memoryBytes, idleSince, givesWayAt } = standing;
      return {
        ...{ user: record.user, state, memoryBytes, heldBy: record.leases.map(holderOf) },
        idleSince: state === 'idle' ? idleSince : null,
        givesWayAt,
      };
    }),
  };
}

function order({ standing }: Known): number {
  return standing.waits?.order ?? 0;
}

function byName(a: Known, b: Known): number {
  return a.record.user < b.record.user ? -1 : 1;
}

/** The one whose turn it is: the others of its user wait with it. */
function firstOf(leases: readonly Lease[]): Pick<Lease, 'kind' | 'priority'> {
  return leases.toSorted((a, b) => orderOf(a) - orderOf(b))[0] ?? { kind: 'job' };
}

function holderOf({ kind, holder }: Lease): string {
  return `${kind} of ${holder}`;
}
