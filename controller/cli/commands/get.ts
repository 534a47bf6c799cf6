import { parseArgs } from 'node:util';
import { type Command, commonOptions, exitCodes, oneOf, parsed, positionalsOf, usageError } from '../command.ts';
import { kindOf, kinds } from '../get/kinds.ts';
import { formats, show } from '../get/shown.ts';
import { isWatched, watchKind } from '../get/watch-kind.ts';
import { openClient } from '../open-client.ts';
import { followEvents } from './events.ts';

export const get: Command = {
  name: 'get',
  summary: 'list boxes, leases, sessions, classes, events or tokens',
  help: `Lists what there is, or shows one. Looking at a box never counts as activity.

Usage: spoonbox get KIND [USER] [options]

Kinds (and their short names)
${kinds.map(({ names }) => `  ${names.join(', ')}`).join('\n')}

Options
  -l, --selector WHICH   boxes, leases, sessions: of boxes that match, as phase=ready,class!=small;
                         of user, class, phase, step, held, ready
  -w, --watch            boxes, leases, sessions, events: go on with every change, one line each
  -o, --output FORMAT    wide (more columns), json, yaml, name
  --no-headers           a table without its first line

Examples
  spoonbox get boxes
  spoonbox get boxes -l phase=failed -o wide
  spoonbox get boxes -w
  spoonbox get box alice -o yaml
  spoonbox get leases -o json
  spoonbox get sessions alice`,
  async run(args, signal) {
    const { values, positionals } = parsed('get', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          watch: { type: 'boolean', short: 'w', default: false },
          output: { type: 'string', short: 'o', default: 'table' },
          selector: { type: 'string', short: 'l' },
          'no-headers': { type: 'boolean', default: false },
        },
        allowPositionals: true,
      }),
    );
    const [what, user = null, ...more] = positionals;
    const kind = kindOf('get', what);
    const [plural, singular] = kind.names;
    if (what === 'box' && user === null) positionalsOf('get', [], 'USER');
    if (user !== null && !kind.ofUsers) throw usageError(`${plural} are nobody's: leave ${user} out`, 'get');
    positionalsOf('get', more);
    const selector = values.selector ?? null;
    if (selector !== null && (!kind.ofUsers || plural === 'events' || user !== null)) {
      throw usageError(`--selector chooses among boxes, leases and sessions of all users`, 'get');
    }
    const format = oneOf('get', 'output', values.output, formats);
    const header = !values['no-headers'];
    const client = openClient(values);
    if (!values.watch) {
      const one = user !== null && what === singular && plural === 'boxes';
      await show(kind, await kind.list(client, { user, selector }, signal), format, { one, header });
      return exitCodes.ok;
    }
    if (plural === 'events') return await followEvents(client, { user, past: 0, format, header }, signal);
    if (selector !== null) throw usageError('--watch is for all or one user: leave --selector out', 'get');
    if (!isWatched(kind)) throw usageError('--watch is for boxes, leases, sessions and events', 'get');
    return await watchKind(client, kind, { user, format, header }, signal);
  },
};
