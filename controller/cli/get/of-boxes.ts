import { relativeTime } from '#shared/human-time.ts';
import { printable } from '../output.ts';
import { boxesOf } from './boxes.ts';
import type { Kind } from './kind.ts';

/** What boxes have: leases and sessions, each with its user. */

export const leases: Kind = {
  names: ['leases', 'lease', 'ls'],
  header: { cells: ['USER', 'LEASE', 'KIND', 'HOLDER', 'TAKEN', 'EXPIRES'], wide: [] },
  ofUsers: true,
  none: 'no live leases: nobody holds a box',
  async list(client, wanted, signal) {
    return (await boxesOf(client, wanted, signal)).flatMap(({ user, now, leases: live }) =>
      live.map((lease) => ({
        name: `lease/${user}/${lease.id}`,
        row: {
          cells: [
            user,
            lease.id,
            lease.kind,
            printable(lease.holder),
            relativeTime(lease.takenAt, now),
            relativeTime(lease.expiresAt, now),
          ],
          wide: [],
        },
        value: { user, ...lease },
      })),
    );
  },
};

export const sessions: Kind = {
  names: ['sessions', 'session', 'se'],
  header: { cells: ['USER', 'SESSION', 'MODE', 'STARTED', 'ATTACHED'], wide: ['PERSIST', 'RECORD', 'GATEWAY'] },
  ofUsers: true,
  none: 'no terminal sessions',
  async list(client, wanted, signal) {
    return (await boxesOf(client, wanted, signal)).flatMap(({ user, now, sessions: open }) =>
      open.map((session) => {
        const { id, mode, startedAt, detachedAt, persist, record, gateway } = session;
        const attached = detachedAt === 0 ? 'yes' : `left ${relativeTime(detachedAt, now)}`;
        return {
          name: `session/${user}/${id}`,
          row: {
            cells: [user, id, mode, relativeTime(startedAt, now), attached],
            wide: [persist, record, printable(gateway)],
          },
          value: session,
        };
      }),
    );
  },
};
