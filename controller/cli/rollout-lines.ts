import { utcTime } from '#shared/human-time.ts';
import type { RolloutPause } from '#shared/operator-schemas.ts';
import {
  type ClassRollout,
  type ImagePull,
  type PullRound,
  type RolloutView,
  type WaitingBox,
  waitsFor,
} from '#shared/rollout.ts';
import { bar, printable, table } from './output.ts';

const barWidth = 20;
/** As much of an image's id as people are shown; `sha256:` is left out. */
const shortIdLength = 12;

/** What `rollout status` shows. */
export function rolloutLines({ now, mode, pause, pulls, classes }: RolloutView): string[] {
  const rows = classes.map((one) => [
    one.class,
    printable(one.image),
    one.imageId === null ? 'not there' : shortId(one.imageId),
    String(one.upToDate),
    String(one.waiting.length),
    one.replacing.length === 0 ? '0' : `${one.replacing.length} (${one.replacing.join(', ')})`,
  ]);
  const by = (of: Pick<RolloutPause, 'by' | 'reason' | 'since'>): string => {
    const why = of.reason === '' ? '' : ` (${printable(of.reason)})`;
    return `by ${printable(of.by)}${why}, ${utcTime(of.since, now)}`;
  };
  const held = [
    ...(mode.mode === 'run' ? [] : [`nothing is replaced: the reconciler is in mode ${mode.mode} ${by(mode)}`]),
    ...(pause.paused ? [`paused ${by(pause)}`] : []),
  ];
  return [
    ...(held.length > 0 ? [...held, ''] : []),
    ...table([['CLASS', 'IMAGE', 'ID', 'UP TO DATE', 'WAITING', 'BEING REPLACED'], ...rows]),
    ...waitingLines(classes, waitsFor({ mode, pause })),
    ...(pulls === null
      ? []
      : ['', `pulled again for ${printable(pulls.by)}, ${utcTime(pulls.askedAt, now)}: ${pullsLine(pulls)}`]),
  ];
}

function waitingLines(classes: readonly ClassRollout[], whileUnheld: string): string[] {
  const rows = classes.flatMap(({ class: name, waiting }) =>
    waiting.map(({ user, fields, heldBy }) => [
      ...[user, name, fields.join(', ')],
      heldBy.length > 0 ? heldBy.map(printable).join(', ') : whileUnheld,
    ]),
  );
  return rows.length === 0 ? [] : ['', ...table([['USER', 'CLASS', 'DIFFERS IN', 'WAITS FOR'], ...rows])];
}

/** Boxes that are not as they would be made now, of all classes. */
export function waitingOf({ classes }: RolloutView): WaitingBox[] {
  return classes.flatMap(({ waiting }) => waiting);
}

/** A round of pulls in one line. */
export function pullsLine({ ended, images }: PullRound): string {
  if (images.length === 0) return 'not begun yet; `spoonbox status` says who leads, and whether it may';
  const current = images.find(({ state }) => state === 'pulling');
  if (!ended && current !== undefined) return pullLine(current);
  return images.map(pullLine).join('; ');
}

export function pullLine({ image, state, progress, message }: ImagePull): string {
  const name = printable(image);
  switch (state) {
    case 'waiting':
      return `${name} waits`;
    case 'pulling': {
      const share = progress === null || progress.totalBytes === 0 ? null : progress.doneBytes / progress.totalBytes;
      return share === null ? `${name} is being pulled` : `${bar(share, barWidth)} ${name} is being pulled`;
    }
    case 'pulled':
      return `${name} is as the registry has it`;
    case 'failed':
      return `${name} could not be pulled: ${printable(message)}`;
    case 'kept':
      return `${name} is not pulled: pullPolicy is Never`;
  }
}

function shortId(imageId: string): string {
  return imageId.replace(/^sha256:/, '').slice(0, shortIdLength);
}
