import { z } from 'zod';
import { Condition } from './status.ts';
import { VaultApplied } from './vault-status.ts';
import { VaultPath } from './vault.ts';

/** What the HTTP API takes and answers about a vault in a home. */

export const VaultHomeView = z.object({
  user: z.string(),
  /** of the vault now; 0 = it is empty */
  revision: z.number(),
  /** what was written last in the box that runs, and what of it was left as the home has it; null = nothing was, or no box runs */
  applied: VaultApplied.nullable(),
  condition: Condition.omit({ type: true }),
});
export type VaultHomeView = z.infer<typeof VaultHomeView>;

/** The vault's file comes in the place of the home's, of which a copy stays beside it. */
export const VaultTakeBody = z.strictObject({ path: VaultPath });
export const VaultTaken = z.object({ revision: z.number() });
