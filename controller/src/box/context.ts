import { z } from 'zod';
import { DrainCause, LastReap, Reason } from '#shared/status.ts';
import { VaultApplied } from '#shared/vault-status.ts';

/** How it stands with the vault in this run of the box. Losing it means only that the vault is written again. */
const VaultMemory = z.object({
  /** the container in which writing it was tried; '' = not yet in this run */
  containerId: z.string(),
  /** null = it was never written as a whole */
  applied: VaultApplied.nullable(),
  triedRevision: z.number(),
  /** failed ones in a row */
  attempts: z.number(),
  retryAt: z.number(),
  /** of the last try, where it failed */
  reason: z.enum(['VaultUnreadable', 'VaultFailed']).nullable(),
  message: z.string(),
});
export type VaultMemory = z.infer<typeof VaultMemory>;

export const freshVault: VaultMemory = {
  containerId: '',
  applied: null,
  triedRevision: 0,
  attempts: 0,
  retryAt: 0,
  reason: null,
  message: '',
};

/** A box may be there: since when, and with how much memory it counts. */
const Place = z.object({ at: z.number(), memoryBytes: z.number() });
export type Place = z.infer<typeof Place>;

/** The machine's memory. Losing it may cost backoff and history, never a box that somebody needs. */
export const BoxContext = z.object({
  /** faults in a row; 0 after a while in which the box was ready */
  attempts: z.number(),
  /** no command before then, after a fault (Redis TIME, ms; 0 = at once) */
  retryAt: z.number(),
  /** the last fault, while it matters */
  reason: Reason.nullable(),
  message: z.string(),
  /** the container that was there when the last fault happened; '' = none */
  failingId: z.string(),
  /** the desired generation that failed: a newer one is tried at once */
  failedGeneration: z.number(),
  /** passes in a row that saw a create refused by a container which cannot be inspected yet */
  creationsSeen: z.number(),
  /** the container vanished while being provisioned, which is forgiven once */
  vanished: z.boolean(),
  /** the container that passed the readiness probe */
  probedId: z.string(),
  readyAt: z.number().nullable(),
  /** from its admission until its container is gone; null = it has none. What was stored before there were any has none */
  place: Place.nullable().default(null),
  /** the container that is being drained, and why; '' = none */
  drainId: z.string(),
  drainCause: DrainCause.nullable(),
  keepUntil: z.number(),
  keepCause: z.string(),
  /** the amnesty that this box was granted last */
  amnestyId: z.string(),
  /** it was granted time for the desired state that it is without */
  orphanGranted: z.boolean(),
  /** this memory was lost, and the time that the box was granted with it; nobody has looked at the box since */
  isLost: z.boolean(),
  lastReap: LastReap.nullable(),
  /** a memory of before there were vaults has none */
  vault: VaultMemory.default(freshVault),
});
export type BoxContext = z.infer<typeof BoxContext>;

export const freshContext: BoxContext = {
  attempts: 0,
  retryAt: 0,
  reason: null,
  message: '',
  failingId: '',
  failedGeneration: 0,
  creationsSeen: 0,
  vanished: false,
  probedId: '',
  readyAt: null,
  place: null,
  drainId: '',
  drainCause: null,
  keepUntil: 0,
  keepCause: '',
  amnestyId: '',
  orphanGranted: false,
  isLost: false,
  lastReap: null,
  vault: freshVault,
};
