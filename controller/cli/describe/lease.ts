import type { BoxView } from '#shared/api-schemas.ts';
import { type Checkout, pathOf } from '#shared/checkout.ts';
import { humanDuration } from '#shared/human-time.ts';
import { priorityOf } from '#shared/lease.ts';
import { CliError } from '../command.ts';
import { printable } from '../output.ts';
import { boxFact, type Fact, factLines, timeOf } from './sections.ts';
import { whatConditionsMean, whatEndsMean } from './what-it-means.ts';

/** One lease: a live one, or one that ended in the last 10 minutes. */
export function leaseDescribed(box: BoxView, id: string): string[] {
  const { user, now } = box;
  const ended = box.endedLeases.find((lease) => lease.id === id);
  const live = box.leases.find((lease) => lease.id === id);
  const lease = live ?? ended;
  if (lease === undefined) {
    throw new CliError(
      `${user} has no lease ${id}, and had none in the last 10 minutes; \`spoonbox get leases ${user}\` lists the live ones`,
    );
  }
  const { kind, holder, takenAt, expiresAt, ttlMs, record, checkout } = lease;
  const end: Fact =
    live === undefined && ended !== undefined
      ? ['Ended', `${timeOf(ended.endedAt, now)}: ${ended.endReason}`]
      : ['Ends', `${timeOf(expiresAt, now)} unless ${kind === 'pin' ? 'taken again' : 'renewed'}`];
  const facts: Fact[] = [
    ['Lease', id],
    boxFact(box),
    ['Kind', kind],
    ['Holder', printable(holder)],
    ['Taken', timeOf(takenAt, now)],
    ['Lasts', `${humanDuration(ttlMs)} from each time that it is taken or renewed`],
    end,
    ['Priority', priorityOf(lease)],
    ['Records', recordWords[record ?? 'off']],
    ['Checkout', checkout === undefined ? 'none: commands start in the home' : checkoutText(checkout)],
  ];
  if (live === undefined) return [...factLines(facts), ...whatEndsMean(box.endedLeases.filter((of) => of.id === id))];
  return [
    ...factLines(facts),
    ...(box.ready ? [] : whatConditionsMean([box])),
    '',
    `\`spoonbox release ${user} ${id}\` gives it back.`,
  ];
}

const recordWords = {
  off: 'nothing by itself',
  output: 'what terminals show that open while it lives',
  input: 'what terminals show, and what is typed, that open while it lives',
} as const;

function checkoutText(checkout: Checkout): string {
  const { clone } = checkout;
  const from = clone === undefined ? '' : `, which begins as a clone of ${clone.url}`;
  return printable(`~/${pathOf(checkout)}${from}`);
}
