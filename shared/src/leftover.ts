import { z } from 'zod';

/**
 * What an earlier worker left on this host: containers that Spoonbox did not make, directories that it does not use. Listed for
 * an operator, and cleared only by an operator's consent to the very thing that was listed.
 */

export const LeftoverKind = z.enum([
  'terminal-container', // spoon-agent-term-*: one terminal of one job
  'unlabelled-box', // spoon-box-{user} without the label of any installation
  'job-directory', // {workdir}/{jobId} with a checkout in `repo`
  'dead-checkout', // below homes/{user}/Code, without the git directory that it names: only ever listed
]);
export type LeftoverKind = z.infer<typeof LeftoverKind>;

export const Leftover = z.object({
  kind: LeftoverKind,
  /** the container's name; the directory's path below the work directory */
  name: z.string(),
  /** what exactly was seen: it differs as soon as the thing does, and who consents names it */
  seen: z.string(),
  /** for people: what it is */
  about: z.string(),
  /** `adopt`: replaced by the user's box, on the same home, once no command runs in it */
  action: z.enum(['remove', 'adopt', 'none']),
  /** why it is cleared only by force; null = nobody uses it */
  inUse: z.string().nullable(),
});
export type Leftover = z.infer<typeof Leftover>;

export const LeftoverList = z.object({
  /** of all items that can be cleared: the same as long as nothing of them has changed, nor whether somebody uses them */
  digest: z.string(),
  items: z.array(Leftover),
  /** for people: what could not be looked at, and why */
  notLooked: z.array(z.string()),
});
export type LeftoverList = z.infer<typeof LeftoverList>;

export const ClearBody = z.strictObject({
  kind: LeftoverKind.exclude(['dead-checkout']),
  name: z.string().min(1).max(255),
  seen: z.string().min(1).max(128),
  force: z.boolean().optional().describe('also where somebody uses it'),
});
export type ClearBody = z.infer<typeof ClearBody>;

export const ClearReply = z.object({
  /** false: it was begun, and goes on when the same is asked again */
  done: z.boolean(),
  message: z.string(),
});
export type ClearReply = z.infer<typeof ClearReply>;
