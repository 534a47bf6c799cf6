import type { BoxEventView, BoxView } from '#shared/api-schemas.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { relativeTime, utcTime } from '#shared/human-time.ts';
import { printable } from '../output.ts';
import { type Fact, factLines, section, timeOf } from './sections.ts';
import { whatConditionsMean, whatEndsMean } from './what-it-means.ts';

/** All that is known of one box. */
export function boxDescribed(box: BoxView, events: readonly BoxEventView[]): string[] {
  const at = (ms: number): string => timeOf(ms, box.now);
  const facts: Fact[] = [
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
    ...factLines(facts),
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
    ...whatConditionsMean([box]),
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
    ...whatEndsMean(box.endedLeases),
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
