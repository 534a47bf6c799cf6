import type { VaultClient } from '../../sdk/vault-client.ts';
import { usageError } from '../command.ts';

export const vaultName = 'vault';

/** Options of all verbs, as they were given. */
export interface VaultOptions {
  readonly server?: string | undefined;
  readonly token?: string | undefined;
  readonly mode?: string | undefined;
  readonly 'from-file'?: string | undefined;
  readonly git?: string | undefined;
  readonly ref?: string | undefined;
  readonly archive?: string | undefined;
  readonly spoon?: string | undefined;
  readonly owner?: string | undefined;
  readonly json?: string | undefined;
  readonly from?: string | undefined;
  readonly replace: boolean;
  readonly 'dry-run': boolean;
  readonly output?: string | undefined;
}

/** What `spoonbox vault VERB` does; answers with the exit code. */
export type Verb = (
  client: VaultClient,
  words: readonly string[],
  options: VaultOptions,
  signal: AbortSignal,
) => Promise<number>;

/** The one of these that was typed. */
export function verbOf(verbs: Readonly<Record<string, Verb>>, typed: string | undefined): Verb {
  const known = Object.keys(verbs).join(', ');
  if (typed === undefined) throw usageError(`say what to do: ${known}`, vaultName);
  const verb = Object.hasOwn(verbs, typed) ? verbs[typed] : undefined;
  if (verb === undefined) throw usageError(`${typed} is none of ${known}`, vaultName);
  return verb;
}
