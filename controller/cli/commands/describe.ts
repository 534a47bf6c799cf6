import { parseArgs } from 'node:util';
import type { ApiClient } from '../../sdk/api-client.ts';
import { CliError, type Command, commonOptions, exitCodes, parsed, positionalsOf, usageError } from '../command.ts';
import { boxDescribed } from '../describe/box.ts';
import { classDescribed } from '../describe/class.ts';
import { leaseDescribed } from '../describe/lease.ts';
import { sessionDescribed } from '../describe/session.ts';
import { kinds } from '../get/kinds.ts';
import { splitName } from '../named.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';

const eventsShown = 15;

export const describe: Command = {
  name: 'describe',
  summary: 'all about one box, lease, session or class, for people, with what its reasons mean',
  help: `Tells all that is known of one thing, and of what is not fine what it means and what to do. Looking at a box never
counts as activity.

  box       why it is alive and until when, its conditions, leases and sessions, its home, what happened last
  lease     who holds the box by it and until when, or why it ended (in the last 10 minutes)
  session   of a terminal: where it runs, since when, whether somebody is attached, how to join it
  class     its image and limits, the tools that it promises, its boxes, and which of them wait for what is new

Usage: spoonbox describe box USER
       spoonbox describe lease USER LEASE
       spoonbox describe session USER SESSION
       spoonbox describe class CLASS

What \`get -o name\` prints is taken, too: box/alice, lease/alice/build-17, session/alice/main, class/default.

Examples
  spoonbox describe box alice
  spoonbox describe lease alice build-17
  spoonbox describe class/default`,
  async run(args, signal) {
    const { values, positionals } = parsed('describe', () =>
      parseArgs({ args: [...args], options: commonOptions, allowPositionals: true }),
    );
    const [word = '', ...given] = splitName(positionals);
    const singular = kinds.find(({ names }) => names.includes(word))?.names[1];
    const known = Object.entries(described).find(([kind]) => kind === singular)?.[1];
    if (known === undefined) throw usageError(`say what to describe: ${usages}`, 'describe');
    const names = positionalsOf('describe', given, ...known.names);
    const lines = await known.lines(openClient(values), names, signal);
    for (const line of lines) print(line);
    return exitCodes.ok;
  },
};

interface Described {
  /** what names one */
  readonly names: readonly string[];
  lines(client: ApiClient, names: readonly string[], signal: AbortSignal): Promise<string[]>;
}

/** By the singular of its kind. */
const described: Readonly<Record<string, Described>> = {
  box: {
    names: ['USER'],
    async lines(client, [user = ''], signal) {
      const [box, events] = await Promise.all([client.box(user, signal), client.events(user, eventsShown, signal)]);
      return boxDescribed(box, events);
    },
  },
  lease: {
    names: ['USER', 'LEASE'],
    lines: async (client, [user = '', id = ''], signal) => leaseDescribed(await client.box(user, signal), id),
  },
  session: {
    names: ['USER', 'SESSION'],
    lines: async (client, [user = '', id = ''], signal) => sessionDescribed(await client.box(user, signal), id),
  },
  class: {
    names: ['CLASS'],
    async lines(client, [name = ''], signal) {
      const classes = await client.classes(signal);
      const found = classes.find((one) => one.name === name);
      if (found === undefined) {
        const known = classes.map((one) => one.name).join(', ');
        throw new CliError(`there is no class ${name}: ${known || 'none is configured'}`);
      }
      const [boxes, rollout] = await Promise.all([client.boxes(`class=${name}`, signal), client.rollout(signal)]);
      return classDescribed(found, boxes, rollout);
    },
  },
};

/** What can be described, as it is shown. */
export const describable: readonly string[] = Object.keys(described);

const usages = Object.entries(described)
  .map(([kind, { names }]) => [kind, ...names].join(' '))
  .join(', ');
