import { humanBytes } from '#shared/human-size.ts';
import { humanDuration, utcTime } from '#shared/human-time.ts';
import { printable } from '../output.ts';
import { eventRow } from './event-row.ts';
import type { Kind } from './kind.ts';

const eventsShown = 50;

export const classes: Kind = {
  names: ['classes', 'class', 'cl'],
  header: { cells: ['CLASS', 'IMAGE', 'MEMORY', 'CPUS', 'PIDS', 'IDLE'], wide: ['ATTACHED IDLE', 'DESCRIPTION'] },
  ofUsers: false,
  none: 'no classes are configured',
  async list(client, _wanted, signal) {
    return (await client.classes(signal)).map((boxClass) => {
      const { name, image, description, limits, idle } = boxClass;
      const { memoryBytes, cpus, pids } = limits;
      return {
        name: `class/${name}`,
        row: {
          cells: [name, image, humanBytes(memoryBytes), String(cpus), String(pids), humanDuration(idle.detachedMs)],
          wide: [humanDuration(idle.attachedMs), printable(description)],
        },
        value: boxClass,
      };
    });
  },
};

export const events: Kind = {
  names: ['events', 'event', 'ev'],
  header: { cells: ['AT', 'USER', 'REASON', 'MESSAGE'], wide: ['BY', 'EDGE'] },
  ofUsers: true,
  none: 'nothing has happened',
  async list(client, { user }, signal) {
    const newestFirst = await client.events(user, eventsShown, signal);
    return newestFirst.toReversed().map((event) => ({
      name: `event/${event.user ?? user ?? ''}/${event.id}`,
      row: eventRow(event, user),
      value: event,
    }));
  },
};

export const tokens: Kind = {
  names: ['tokens', 'token'],
  header: { cells: ['TOKEN', 'NAME', 'ROLE', 'CREATED', 'LAST USED', 'EXPIRES'], wide: [] },
  ofUsers: false,
  none: 'no tokens but the installation’s own: `spoonbox api-token create` makes one',
  async list(client, _wanted, signal) {
    return (await client.tokens(signal)).map((token) => ({
      name: `token/${token.id}`,
      row: {
        cells: [
          token.id,
          printable(token.name),
          token.role,
          utcTime(token.createdAt, Date.now()),
          token.lastUsedAt === null ? 'never' : utcTime(token.lastUsedAt, Date.now()),
          token.expiresAt === null ? 'never' : utcTime(token.expiresAt, Date.now()),
        ],
        wide: [],
      },
      value: token,
    }));
  },
};
