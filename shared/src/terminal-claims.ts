import { z } from 'zod';
import { BranchName, Checkout, Clone, SpoonName } from './checkout.ts';
import { UserName } from './identity.ts';
import { TerminalMode } from './terminal-mode.ts';

/** What a terminal token says: in a file of its own, because clients and the API's shapes need it without what signs and checks. */

export const defaultTokenTtlMs = 60_000;

/** The name of a terminal session: it goes into a lease id, an environment variable and a URL as it is. */
export const SessionId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/, { error: 'a session id is 1 to 48 of A-Z a-z 0-9 _ -' });

/** Where the shell starts, relative to the home. */
export const Directory = z
  .string()
  .min(1)
  .max(1_024)
  .refine((path) => !path.startsWith('/') && !path.startsWith('~'), { error: 'is relative to the home' })
  .refine((path) => !path.split('/').includes('..'), { error: 'must not contain ".."' })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here
  .refine((path) => !/[\u0000-\u001f\u007f]/.test(path), { error: 'must not contain control characters' });

export const DisplayName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^\P{Cc}*$/u, { error: 'is one line without control characters' });

const Claims = z.object({
  user: UserName,
  /** `ro`: what the client types is dropped */
  mode: TerminalMode,
  session: SessionId,
  /** below the checkout where one is named, else below the home */
  directory: Directory.optional(),
  /** the checkout in which the shell starts; all three as in `Checkout`, see `checkoutIn` */
  spoon: SpoonName.optional(),
  branch: BranchName.optional(),
  clone: Clone.optional(),
  /** who looks, where that is not the user: shown to the others */
  name: DisplayName.optional(),
  /** `output` or `input`: this session is recorded also where its class does not ask for it */
  record: z.enum(['output', 'input']).optional(),
  jti: z.string().regex(/^[A-Za-z0-9._-]{8,100}$/),
  /** seconds since 1970, as in every JWT */
  iat: z.number(),
  exp: z.number(),
});
export const TerminalClaims = Claims.superRefine(({ spoon, branch, clone }, context) => {
  if (spoon === undefined && branch === undefined && clone === undefined) return;
  const checkout = Checkout.safeParse({ spoon, branch, clone });
  for (const { path, message } of checkout.error?.issues ?? []) context.addIssue({ code: 'custom', path, message });
});
export type TerminalClaims = z.infer<typeof TerminalClaims>;

/** The checkout that a token names; null where it names none. */
export function checkoutIn({ spoon, branch, clone }: TerminalClaims): Checkout | null {
  return Checkout.safeParse({ spoon, branch, clone }).data ?? null;
}
