import type { UserName } from '#shared/identity.ts';
import { type ProblemCode, ProblemError } from '#shared/problem.ts';
import { VaultSealError, type VaultSealProblem } from '#shared/vault-seal.ts';
import type { VaultRefusal } from '#shared/vault-store.ts';
import { maxFiles, maxVariables, maxVaultBytes } from '#shared/vault.ts';
import { fromStore } from './problem-reply.ts';

/** What a route that opens values may be refused with, beside its own. */
export const sealProblems: readonly ProblemCode[] = ['vault-no-key', 'vault-key-missing', 'vault-damaged'];
/** And one that changes a vault. */
export const writeProblems: readonly ProblemCode[] = [
  'vault-no-key',
  'precondition-failed',
  'vault-full',
  'vault-path-conflict',
  'name-differs-by-case',
];

const codeOf: Readonly<Record<VaultSealProblem, ProblemCode>> = {
  'no-key': 'vault-no-key',
  'key-missing': 'vault-key-missing',
  changed: 'vault-damaged',
};

/** A call of the vault's store, with its failure as a problem. */
export async function fromVault<Value>(answer: Promise<Value>): Promise<Value> {
  return await fromStore(
    answer.catch((error: unknown) => {
      if (!(error instanceof VaultSealError)) throw error;
      throw new ProblemError(codeOf[error.problem], error.message);
    }),
  );
}

export function entryUnknown(user: UserName, entry: string): ProblemError {
  return new ProblemError(
    'vault-entry-unknown',
    `the vault of ${user} has no ${entry}: \`spoonbox vault ls ${user}\` shows all`,
  );
}

/** `entry`: what was to be put or removed, for people. */
export function vaultRefused(
  user: UserName,
  entry: string,
  { refused, detail }: { readonly refused: VaultRefusal; readonly detail: string },
): ProblemError {
  switch (refused) {
    case 'entry-unknown':
      return entryUnknown(user, entry);
    case 'precondition-failed':
      return new ProblemError(
        refused,
        `${entry} was refused because the vault of ${user} is not the one of If-Match: its revision is ${detail} now. Look at it again, and decide anew`,
        { extras: { revision: Number(detail) } },
      );
    case 'vault-full':
      return new ProblemError(
        refused,
        `${entry} was refused because the vault of ${user} ${fullText(detail)}: remove something first`,
      );
    case 'path-conflict':
      return new ProblemError(
        'vault-path-conflict',
        `${entry} was refused because ${detail} cannot be a file and a directory: remove or rename one of them`,
      );
    case 'name-differs-by-case':
      return new ProblemError(refused, `${user} was refused because ${detail} exists: use the name as it is known`);
  }
}

function fullText(what: string): string {
  if (what === 'files') return `may have ${maxFiles} files`;
  if (what === 'variables') return `may have ${maxVariables} variables`;
  return `may have ${maxVaultBytes} bytes in all`;
}
