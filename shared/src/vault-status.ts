import { z } from 'zod';

/**
 * How a file of the home differs from the vault's, and is left alone for it: `edited` since it was written, `foreign`: it was there
 * before and was never written, `removed` since it was written, `no-file`: a directory, a socket or the like is in its place.
 */
export const DriftKind = z.enum(['edited', 'foreign', 'removed', 'no-file']);
export type DriftKind = z.infer<typeof DriftKind>;

export const VaultDrift = z.object({ path: z.string(), how: DriftKind });
export type VaultDrift = z.infer<typeof VaultDrift>;

/** What of a vault is in the home of a box that runs. */
export const VaultApplied = z.object({
  /** of the vault that was written */
  revision: z.number(),
  /** files that were left as the home has them */
  drift: z.array(VaultDrift),
  /** when it was written, and looked at (Redis TIME, ms) */
  at: z.number(),
});
export type VaultApplied = z.infer<typeof VaultApplied>;

/** How a vault was written into a home. */
export interface HomeWritten {
  readonly revision: number;
  readonly drift: VaultDrift[];
  /** what could not be written, and why, in the words of the box */
  readonly failed: readonly { readonly path: string; readonly why: string }[];
}
