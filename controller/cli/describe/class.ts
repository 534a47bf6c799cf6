import type { BoxView, ClassView } from '#shared/api-schemas.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { humanCount } from '#shared/human-count.ts';
import { humanDuration, relativeTime } from '#shared/human-time.ts';
import type { RolloutView } from '#shared/rollout.ts';
import { printable } from '../output.ts';
import { rolloutLines } from '../rollout-lines.ts';
import { type Fact, factLines, section } from './sections.ts';
import { whatConditionsMean } from './what-it-means.ts';

/** More boxes than this are only counted. */
const boxesShown = 20;

/** One class: what it promises and allows, whether its image is everywhere, and the boxes that are of it. */
export function classDescribed(of: ClassView, boxes: readonly BoxView[], rollout: RolloutView): string[] {
  const { name, description, image, hash, limits, idle, stopGraceMs, tools } = of;
  const facts: Fact[] = [
    ['Class', name],
    ['Description', printable(description) || '-'],
    ['Image', printable(image)],
    ['Hash', hash],
    ['Memory', humanBytes(limits.memoryBytes)],
    ['Processors', String(limits.cpus)],
    ['Processes', String(limits.pids)],
    [
      'Idle',
      `${humanDuration(idle.detachedMs)} with nobody attached, ${humanDuration(idle.attachedMs)} with nobody typing`,
    ],
    ['Stop grace', humanDuration(stopGraceMs)],
  ];
  const shown = boxes.slice(0, boxesShown);
  const left = boxes.length - shown.length;
  return [
    ...factLines(facts),
    ...section(
      'Tools that it promises',
      tools.map((tool) => [
        printable(tool.name),
        toolWords[tool.state],
        printable(tool.version || tool.message) || '-',
      ]),
      ['TOOL', 'IN THE IMAGE', 'VERSION'],
    ),
    ...section(
      'Rollout',
      rolloutLines({ ...rollout, pulls: null, classes: rollout.classes.filter((one) => one.class === name) }).map(
        (line) => [line],
      ),
    ),
    ...section(
      humanCount(boxes.length, 'box', 'boxes'),
      shown.map(({ user, phase, step, until, now, message }) => [
        ...[user, step === null ? phase : `${phase} (${step})`, until === null ? '-' : relativeTime(until, now)],
        printable(message) || '-',
      ]),
      ['USER', 'PHASE', 'UNTIL', 'MESSAGE'],
    ),
    ...(left === 0 ? [] : [`  and ${left} more: \`spoonbox get boxes -l class=${name}\``]),
    ...whatConditionsMean(boxes.filter(({ phase }) => phase !== 'absent')),
  ];
}

const toolWords = { present: 'yes', missing: 'no', unproved: 'not seen yet: no box of it was ready' } as const;
