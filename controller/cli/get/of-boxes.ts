import type { BoxView } from '#shared/api-schemas.ts';
import { relativeTime } from '#shared/human-time.ts';
import { printable } from '../output.ts';
import { boxesOf } from './boxes.ts';
import type { Kind, Listed } from './kind.ts';

/** What boxes have: leases and sessions, each with its user. */

export const leases: Kind = {
  names: ['leases', 'lease', 'ls'],
  header: { cells: ['USER', 'LEASE', 'KIND', 'HOLDER', 'TAKEN', 'EXPIRES'], wide: [] },
  ofUsers: true,
  none: 'no live leases: nobody holds a box',
  ofBox: leasesOf,
  async list(client, wanted, signal) {
    return (await boxesOf(client, wanted, signal)).flatMap(leasesOf);
  },
};

export const sessions: Kind = {
  names: ['sessions', 'session', 'se'],
  header: { cells: ['USER', 'SESSION', 'MODE', 'STARTED', 'ATTACHED'], wide: ['PERSIST', 'RECORD', 'GATEWAY'] },
  ofUsers: true,
  none: 'no terminal sessions',
  ofBox: sessionsOf,
  async list(client, wanted, signal) {
    return (await boxesOf(client, wanted, signal)).flatMap(sessionsOf);
  },
};

function leasesOf({ user, now, leases: live }: BoxView): Listed[] {
  return live.map((lease) => {
    const { id, kind, holder, takenAt, expiresAt } = lease;
    const times = [relativeTime(takenAt, now), relativeTime(expiresAt, now)];
    return {
      name: `lease/${user}/${id}`,
      row: { cells: [user, id, kind, printable(holder), ...times], wide: [] },
      value: { user, ...lease },
      gone: {
        row: { cells: [user, id, kind, printable(holder), '-', 'ended'], wide: [] },
        value: { user, id, removed: true },
      },
    };
  });
}

function sessionsOf({ user, now, sessions: open }: BoxView): Listed[] {
  return open.map((session) => {
    const { id, mode, startedAt, detachedAt, persist, record, gateway } = session;
    const attached = detachedAt === 0 ? 'yes' : `left ${relativeTime(detachedAt, now)}`;
    const wide = [persist, record, printable(gateway)];
    return {
      name: `session/${user}/${id}`,
      row: { cells: [user, id, mode, relativeTime(startedAt, now), attached], wide },
      value: session,
      gone: { row: { cells: [user, id, mode, '-', 'ended'], wide }, value: { user, id, removed: true } },
    };
  });
}
