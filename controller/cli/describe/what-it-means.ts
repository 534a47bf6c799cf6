import type { BoxView } from '#shared/api-schemas.ts';
import { type ReasonText, leaseEndTexts, reasonTexts } from '#shared/reasons.ts';
import { section } from './sections.ts';

/** Of the conditions of these boxes that are not fine; each reason once. */
export function whatConditionsMean(boxes: readonly Pick<BoxView, 'conditions'>[]): string[] {
  const wrong = boxes.flatMap(({ conditions }) => conditions.filter(isWrong));
  return explained(
    'What that means',
    wrong.map(({ type, reason }) => [`${type}, ${reason}`, reasonTexts[reason]]),
  );
}

/** Why leases ended. */
export function whatEndsMean(ended: readonly Pick<BoxView['endedLeases'][number], 'endReason'>[]): string[] {
  return explained(
    'What these ends mean',
    ended.map(({ endReason }) => [endReason, leaseEndTexts[endReason]]),
  );
}

function explained(title: string, reasons: readonly (readonly [name: string, text: ReasonText])[]): string[] {
  const rows = [...new Map(reasons)].flatMap(([name, { means, whatToDo }]) => [
    [`${name}:`, means],
    ...(whatToDo === '' ? [] : [['', whatToDo]]),
  ]);
  return rows.length === 0 ? [] : section(title, rows);
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
