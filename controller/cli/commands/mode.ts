import { parseArgs } from 'node:util';
import type { ReconcilerMode } from '#shared/operator-schemas.ts';
import { type Command, commonOptions, exitCodes, parsed, positionalsOf } from '../command.ts';
import { mayGoOn, yesOption } from '../confirm.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';

export const drain: Command = {
  name: 'drain',
  summary: 'no new boxes from now on; --pause: the reconciler changes nothing at all',
  help: `Makes no new boxes from now on, on this whole installation. Boxes that run go on and are reaped as usual; who asks
for one waits, and is told why. \`spoonbox resume\` ends it.

With --pause nothing is begun any more: no box is made, started, stopped, reaped or mended, and no left terminal is ended. What
was begun before (a stop, a pull) comes to its end.

Usage: spoonbox drain [options]

Options
  --pause          the reconciler begins nothing at all
  --reason TEXT    for those who wait: why
  -y, --yes        do not ask

Examples
  spoonbox drain --reason "the host is rebooted at noon"
  spoonbox drain --pause --yes`,
  async run(args, signal) {
    const { values, positionals } = parsed('drain', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          pause: { type: 'boolean', default: false },
          reason: { type: 'string' },
          ...yesOption,
        },
        allowPositionals: true,
      }),
    );
    positionalsOf('drain', positionals);
    const client = openClient(values);
    const what = values.pause
      ? 'the reconciler changes nothing until `spoonbox resume`'
      : 'no new boxes are made until `spoonbox resume`';
    if (!(await mayGoOn(what, values.yes, signal))) return exitCodes.failed;
    const mode: ReconcilerMode = values.pause ? 'pause' : 'drain';
    await client.setMode({ mode, ...(values.reason === undefined ? {} : { reason: values.reason }) }, signal);
    print(`${what}; boxes that run are not touched, and what was begun before comes to its end`);
    return exitCodes.ok;
  },
};

export const resume: Command = {
  name: 'resume',
  summary: 'end a drain or a pause',
  help: `Ends a drain or a pause: what waits is done now.

Usage: spoonbox resume

Examples
  spoonbox resume`,
  async run(args, signal) {
    const { values, positionals } = parsed('resume', () =>
      parseArgs({ args: [...args], options: commonOptions, allowPositionals: true }),
    );
    positionalsOf('resume', positionals);
    await openClient(values).setMode({ mode: 'run' }, signal);
    print('the reconciler runs');
    return exitCodes.ok;
  },
};
