import { parseArgs } from 'node:util';
import { humanDuration } from '#shared/human-time.ts';
import type { PlanView } from '#shared/operator-schemas.ts';
import { humanCount } from '#shared/human-count.ts';
import { type Command, commonOptions, exitCodes, oneOf, parsed, positionalsOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { hint, print, printable, table } from '../output.ts';

export const plan: Command = {
  name: 'plan',
  summary: 'what the next pass would do to every box, and why: changes nothing',
  help: `Asks what the reconciler would do at this moment, by the same rules, and does nothing. Boxes to which nothing
would be done are summed up in one line.

Usage: spoonbox plan [USER] [options]

Options
  -a, --all   list the quiet ones too
  -o json     what the API answers

Examples
  spoonbox plan
  spoonbox plan alice`,
  async run(args, signal) {
    const { values, positionals } = parsed('plan', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          all: { type: 'boolean', short: 'a', default: false },
          output: { type: 'string', short: 'o', default: 'text' },
        },
        allowPositionals: true,
      }),
    );
    const [user = null, ...more] = positionals;
    positionalsOf('plan', more);
    const format = oneOf('plan', 'output', values.output, ['text', 'json']);
    const plans = await openClient(values).plan(user, signal);
    if (format === 'json') {
      print(JSON.stringify(user === null ? { items: plans } : plans[0], null, 2));
      return exitCodes.ok;
    }
    const isShown = (one: PlanView): boolean => values.all || user !== null || one.command !== 'none';
    const shown = plans.filter(isShown);
    const rows = shown.map((one) => [
      one.user,
      stateOf(one),
      stateOf(one.next),
      printable(one.does) || '-',
      printable(one.rule),
      one.nextLookMs === null ? '-' : `in ${humanDuration(one.nextLookMs)}`,
    ]);
    if (rows.length > 0) {
      for (const line of table([['USER', 'IS', 'BECOMES', 'DOES', 'BECAUSE', 'NEXT LOOK'], ...rows])) print(line);
    }
    const quiet = plans.length - shown.length;
    if (quiet > 0) hint(`to ${humanCount(quiet, 'box', 'boxes')} nothing would be done now; --all lists them`);
    if (plans.length === 0) hint('no boxes: nothing would be done');
    return exitCodes.ok;
  },
};

function stateOf({ phase, step }: Pick<PlanView, 'phase' | 'step'>): string {
  return step === null ? phase : `${phase}/${step}`;
}
