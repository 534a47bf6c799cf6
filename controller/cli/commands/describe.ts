import { parseArgs } from 'node:util';
import type { BoxEventView, BoxView } from '#shared/api-schemas.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { relativeTime, utcTime } from '#shared/human-time.ts';
import { reasonTexts } from '#shared/reasons.ts';
import { type Command, commonOptions, exitCodes, parsed, positionalsOf, usageError } from '../command.ts';
import { openClient } from '../open-client.ts';
import { colour, print, printable, table } from '../output.ts';

const eventsShown = 15;

export const describe: Command = {
  name: 'describe',
  summary: 'all about one box, for people: why it is alive, until when, what happened',
  help: `Tells all that is known of one box: why it is alive and until when, its conditions with
their reasons, leases, sessions, and what happened last.

Usage: spoonbox describe box USER

Examples
  spoonbox describe box alice`,
  async run(args, signal) {
    const { values, positionals } = parsed('describe', () =>
      parseArgs({ args: [...args], options: commonOptions, allowPositionals: true }),
    );
    if (positionals[0] !== 'box') throw usageError('say what to describe: box USER', 'describe');
    const [, user = ''] = positionalsOf('describe', positionals, 'box', 'USER');
    const client = openClient(values);
    const box = await client.box(user, signal);
    const events = await client.events(user, eventsShown, signal);
    for (const line of described(box, events)) print(line);
    return exitCodes.ok;
  },
};

function described(box: BoxView, events: readonly BoxEventView[]): string[] {
  const at = (ms: number): string => `${utcTime(ms, box.now)} (${relativeTime(ms, box.now)})`;
  const facts = [
    ['Box', box.user],
    ['Phase', box.step ? `${box.phase} (${box.step})` : box.phase],
    ['Message', printable(box.message) || '-'],
    ['Class', box.class ?? '-'],
    ['Container', box.containerId ?? '-'],
    ['Home', homeText(box)],
    ['Ready since', box.readyAt === null ? '-' : at(box.readyAt)],
    ['Kept until', box.until === null ? 'nothing holds it' : at(box.until)],
    [
      'Last activity',
      box.desired?.lastActivityAt
        ? `${at(box.desired.lastActivityAt)}: ${printable(box.desired.lastActivityCause)}`
        : '-',
    ],
    [
      'Last reap',
      box.lastReap ? `${at(box.lastReap.at)}: ${printable(box.lastReap.message || box.lastReap.cause)}` : '-',
    ],
  ];
  return [
    ...table(facts.map(([name, value]) => [`${name}:`, value ?? ''])),
    ...section(
      'Why',
      box.why.map((sentence) => [printable(sentence)]),
    ),
    ...section(
      'Conditions',
      box.conditions.map(({ type, status, reason, since, message }) => [
        type,
        status,
        reason,
        relativeTime(since, box.now),
        printable(message),
      ]),
      ['TYPE', 'STATUS', 'REASON', 'SINCE', 'MESSAGE'],
    ),
    ...whatConditionsMean(box),
    ...section(
      'Leases',
      box.leases.map(({ id, kind, holder, takenAt, expiresAt }) => [
        id,
        kind,
        printable(holder),
        relativeTime(takenAt, box.now),
        relativeTime(expiresAt, box.now),
      ]),
      ['ID', 'KIND', 'HOLDER', 'TAKEN', 'EXPIRES'],
    ),
    ...section(
      'Leases that ended in the last 10 minutes',
      box.endedLeases.map(({ id, kind, holder, endedAt, endReason }) => [
        id,
        kind,
        printable(holder),
        relativeTime(endedAt, box.now),
        endReason,
      ]),
      ['ID', 'KIND', 'HOLDER', 'ENDED', 'REASON'],
    ),
    ...section(
      'Sessions',
      box.sessions.map(({ id, mode, gateway, startedAt }) => [
        id,
        mode,
        printable(gateway),
        relativeTime(startedAt, box.now),
      ]),
      ['ID', 'MODE', 'GATEWAY', 'STARTED'],
    ),
    ...section(
      'Last events',
      events.map(({ at: when, reason, message, by }) => [
        utcTime(when, box.now),
        relativeTime(when, box.now),
        reason,
        `${printable(message)} (${printable(by)})`,
      ]),
    ),
    '',
    'Only the home survives: a reap removes the box and everything else in it.',
  ];
}

function homeText({ home, now }: BoxView): string {
  if (home === null) return '-';
  const { usedBytes, isWhole, quotaBytes, measuredAt, problem } = home;
  const used = usedBytes === null ? null : `${isWhole ? '' : 'at least '}${humanBytes(usedBytes)}`;
  const of = quotaBytes === null ? '' : ` of ${humanBytes(quotaBytes)}`;
  const known = used === null || measuredAt === null ? [] : [`${used}${of}, measured ${relativeTime(measuredAt, now)}`];
  return [...known, ...(problem === '' ? [] : [`it could not be measured: ${printable(problem)}`])].join('; ') || '-';
}

/** Of the conditions that are not fine. */
function whatConditionsMean({ conditions }: BoxView): string[] {
  const rows = conditions.filter(isWrong).flatMap(({ type, reason }) => {
    const { means, whatToDo } = reasonTexts[reason];
    return [[`${type}:`, means], ...(whatToDo === '' ? [] : [['', whatToDo]])];
  });
  return rows.length === 0 ? [] : section('What that means', rows);
}

/**
 * `NameTaken` is fine when it is not; `Idle` says how a box is used, and is fine either way unless its reap is held up; a home that nobody
 * has measured yet is no trouble.
 */
function isWrong({ type, status, reason }: BoxView['conditions'][number]): boolean {
  if (type === 'Idle') return reason === 'ReapPaced' || reason === 'Amnesty';
  if (type === 'HomeUsage') return status === 'False';
  return status !== (type === 'NameTaken' ? 'False' : 'True');
}

function section(title: string, rows: string[][], header?: string[]): string[] {
  const lines = table(rows.length > 0 && header ? [header, ...rows] : rows);
  return ['', colour('bold', `${title}:`), ...(rows.length === 0 ? ['  none'] : lines.map((line) => `  ${line}`))];
}
