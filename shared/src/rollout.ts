import { z } from 'zod';
import { UserName } from './identity.ts';
import { ModeView, oneLine, RolloutPause } from './operator-schemas.ts';
import { PullProgress } from './status.ts';

/** How newer images and classes reach boxes: what the API tells of it, and what the reconciler stands on. Times are Redis TIME in ms. */

export const RolloutPauseBody = z.strictObject({
  paused: z.boolean(),
  reason: oneLine(200).optional().describe('for people: why'),
});
export type RolloutPauseBody = z.infer<typeof RolloutPauseBody>;

/** One image of a round. `kept`: its classes say `pullPolicy: Never`, so what is there counts. */
export const ImagePull = z.object({
  image: z.string(),
  state: z.enum(['waiting', 'pulling', 'pulled', 'failed', 'kept']),
  progress: PullProgress.nullable(),
  /** why it failed; '' otherwise */
  message: z.string(),
});
export type ImagePull = z.infer<typeof ImagePull>;

/** What the leader reports of a round of pulls. */
export const PullReport = z.object({
  askedAt: z.number(),
  /** all of it is done, or failed */
  ended: z.boolean(),
  images: z.array(ImagePull),
});
export type PullReport = z.infer<typeof PullReport>;

/** The last time that an operator had the images of all classes pulled again. */
export const PullRound = PullReport.extend({ by: z.string() });
export type PullRound = z.infer<typeof PullRound>;

/** When the round was asked for that is under way now: by this request, or by one before that it joins. */
export const PullsAsked = z.object({ askedAt: z.number() });
export type PullsAsked = z.infer<typeof PullsAsked>;

/** A box that is not as it would be made now. */
export const WaitingBox = z.object({
  user: UserName,
  /** fields of the spec that differ: `imageId`, `memoryBytes`, … */
  fields: z.array(z.string()),
  /** who keeps it from being replaced, for people; none = it waits for its turn, for the end of a pause, or does not run */
  heldBy: z.array(z.string()),
});
export type WaitingBox = z.infer<typeof WaitingBox>;

export const ClassRollout = z.object({
  class: z.string(),
  image: z.string(),
  /** what the reference stands for now; null = it is not there */
  imageId: z.string().nullable(),
  pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
  /** boxes that are as they would be made now */
  upToDate: z.number(),
  waiting: z.array(WaitingBox),
  /** whose box is being stopped and removed, and differs */
  replacing: z.array(UserName),
});
export type ClassRollout = z.infer<typeof ClassRollout>;

export const RolloutView = z.object({
  now: z.number(),
  /** of the reconciler: only in `run` is any box replaced */
  mode: ModeView,
  pause: RolloutPause,
  /** null = nobody ever asked for one */
  pulls: PullRound.nullable(),
  classes: z.array(ClassRollout),
});
export type RolloutView = z.infer<typeof RolloutView>;

/** What a box of before waits for that nobody holds. */
export function waitsFor({ mode: { mode }, pause }: Pick<RolloutView, 'mode' | 'pause'>): string {
  if (pause.paused) return 'the end of the pause';
  return mode === 'run' ? 'its turn' : `the end of mode ${mode}`;
}
