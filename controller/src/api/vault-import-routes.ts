import { NoQuery } from '#shared/api-schemas.ts';
import { ProblemError } from '#shared/problem.ts';
import { SpoonExportError } from '#shared/spoon-export.ts';
import { readImport, type VaultImport } from '#shared/vault-import.ts';
import { VaultImportBody, VaultImported, VaultParams, VaultView } from '#shared/vault-schemas.ts';
import { maxVaultBytes } from '#shared/vault.ts';
import type { z } from 'zod';
import type { Api } from './api.ts';
import { fromVault, sealProblems, vaultRefused, writeProblems } from './vault-problems.ts';
import { dotfileOf, longestEscape, secret, tagged, writerOf } from './vault-routes.ts';

/** A whole vault, and what stands around its entries. */
const vaultBodyBytes = maxVaultBytes * longestEscape + 1024 * 1024;

/** A whole vault: what `spoonbox vault export` reads and `import` puts. */
export function addVaultImportRoutes({ app, vault }: Api): void {
  app.get(
    '/v1/users/:user/vault',
    {
      config: { role: 'admin' },
      schema: {
        summary: "All that a user's vault holds, values and all; it can be put again as it is",
        params: VaultParams,
        querystring: NoQuery,
        response: { 200: VaultView },
        problems: sealProblems,
      },
    },
    async (request, reply) => {
      const { revision, files, environment } = await fromVault(vault.read(request.params.user));
      secret(reply, revision);
      return { revision, dotfiles: files.map(dotfileOf), environment: { ...environment } };
    },
  );

  app.put(
    '/v1/users/:user/vault',
    {
      config: { role: 'admin' },
      bodyLimit: vaultBodyBytes,
      schema: {
        summary: "Import into a user's vault in one step; what is refused of it is named, and the rest goes on",
        params: VaultParams,
        querystring: NoQuery,
        body: VaultImportBody,
        requestHeaders: { 'if-match': "the vault's ETag: refused with 412 where it holds something else by now" },
        response: { 200: VaultImported },
        problems: writeProblems,
      },
    },
    async (request, reply) => {
      const { user } = request.params;
      const { change, refused } = imported(request.body, user);
      const how = { ...writerOf(request), dryRun: request.body.dryRun };
      const written = await fromVault(vault.put(user, change, how));
      if (!written.ok) throw vaultRefused(user, 'the import', written);
      const { revision, added, changed, same, removed } = written;
      tagged(reply, revision);
      return {
        ...{ revision, added: added.map(told), changed: changed.map(told) },
        ...{ same: same.map(told), removed: removed.map(told), refused: [...refused] },
      };
    },
  );
}

function imported(body: z.output<typeof VaultImportBody>, user: string): VaultImport {
  try {
    return readImport(body, user);
  } catch (error) {
    if (!(error instanceof SpoonExportError)) throw error;
    throw new ProblemError('request-invalid', `the import was refused: ${error.message}`);
  }
}

/** As people write it: a file as its path, a variable as `$NAME`. */
function told(field: string): string {
  const name = field.slice(2);
  return field.startsWith('e:') ? `$${name}` : name;
}
