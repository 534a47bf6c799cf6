import { parseArgs } from 'node:util';
import type { BoxView } from '#shared/api-schemas.ts';
import { humanDuration, relativeTime, utcTime } from '#shared/human-time.ts';
import type { PlanView } from '#shared/operator-schemas.ts';
import { type Command, commonOptions, exitCodes, oneOf, parsed, userOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { colour, print, printable, table } from '../output.ts';

export const why: Command = {
  name: 'why',
  summary: 'why a box is alive, until when, and what happens next',
  help: `Answers, on one screen: is the box alive, why, until when, who holds it, and what the reconciler does next.

Usage: spoonbox why USER [-o json]

Examples
  spoonbox why alice`,
  async run(args, signal) {
    const { values, positionals } = parsed('why', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, output: { type: 'string', short: 'o', default: 'text' } },
        allowPositionals: true,
      }),
    );
    const user = userOf('why', positionals);
    const format = oneOf('why', 'output', values.output, ['text', 'json']);
    const client = openClient(values);
    const [box, [plan]] = await Promise.all([client.box(user, signal), client.plan(user, signal)]);
    if (format === 'json') print(JSON.stringify({ box, plan }, null, 2));
    else for (const line of explained(box, plan)) print(line);
    return exitCodes.ok;
  },
};

function explained(box: BoxView, plan: PlanView | undefined): string[] {
  const { now, until } = box;
  const at = (ms: number): string => `${utcTime(ms, now)} (${relativeTime(ms, now)})`;
  const state = box.step === null ? box.phase : `${box.phase} (${box.step})`;
  const holders = box.leases.map(({ id, kind, holder, expiresAt }) => [
    `  ${kind}`,
    id,
    printable(holder),
    `ends ${relativeTime(expiresAt, now)} unless renewed`,
  ]);
  return [
    `${colour('bold', box.user)} is ${state}: ${printable(box.message)}`,
    ...(box.phase === 'absent' ? [] : [until === null ? 'nothing holds it' : `kept until ${at(until)}`]),
    ...section(
      'Why',
      box.why.map((sentence) => `  ${printable(sentence)}`),
    ),
    ...section('Held by', holders.length === 0 ? ['  nobody'] : table(holders)),
    ...(plan === undefined ? [] : section('Next', nextOf(plan))),
    ...(box.lastReap === null
      ? []
      : section('Last reap', [`  ${at(box.lastReap.at)}: ${printable(box.lastReap.message || box.lastReap.cause)}`])),
  ];
}

function nextOf({ does, rule, nextLookMs }: PlanView): string[] {
  const what = does === '' ? 'nothing is to be done now' : does;
  const look =
    nextLookMs === null ? 'the next look is when something happens' : `it looks again in ${humanDuration(nextLookMs)}`;
  return [`  ${printable(what)}, because: ${printable(rule)}`, `  ${look}`];
}

function section(title: string, lines: readonly string[]): string[] {
  return ['', colour('bold', `${title}:`), ...lines];
}
