import { z } from 'zod';

/**
 * The normalised spec of a box: everything of the class that ends up in the container, with the resolved image id in place
 * of the tag. It is stored in a label; drift is a difference between two of these, never a diff of `inspect`.
 */
export const BoxSpec = z.object({
  class: z.string(),
  imageId: z.string(),
  command: z.array(z.string()),
  environment: z.record(z.string(), z.string()),
  uid: z.number(),
  gid: z.number(),
  homeSource: z.string(),
  homeTarget: z.string(),
  memoryBytes: z.number(),
  cpus: z.number(),
  pids: z.number(),
  capabilities: z.array(z.string()),
  noNewPrivileges: z.boolean(),
  stopGraceMs: z.number(),
  network: z.string(),
});
export type BoxSpec = z.infer<typeof BoxSpec>;

/** States of a container, as engines name them. */
export type ContainerState = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

/** One container as the engine shows it. The adapter only translates; what it means is decided in `ownership.ts`. */
export interface ContainerView {
  readonly id: string;
  /** without a leading slash */
  readonly name: string;
  readonly state: ContainerState;
  /** label values, '' where the label is missing */
  readonly installation: string;
  readonly role: string;
  readonly user: string;
  /** 0 where the label is missing or no number */
  readonly generation: number;
  /** of the image that it was really made from; an image committed from a box hands our labels on, this tells them apart */
  readonly imageId: string;
  /** the spec label, null where it is missing or cannot be read */
  readonly spec: BoxSpec | null;
  /** seconds since 1970 by the engine's clock, only to tell older from newer */
  readonly createdAtS: number;
  /** of the last run; null while it runs, never ran, or where a list does not tell */
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
}
