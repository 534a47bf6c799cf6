import { z } from 'zod';
import { parseJson } from '#shared/json.ts';
import { SpoonExportError } from '#shared/spoon-export.ts';
import { type RefusedEntry, readImport } from '#shared/vault-import.ts';
import { modeText, VaultImportBody } from '#shared/vault-schemas.ts';
import { CliError, exitCodes, oneOf, usageError, userOf } from '../command.ts';
import { hint, print, printable } from '../output.ts';
import { checkSize, type FoundFiles } from './found-file.ts';
import { readInput } from './input.ts';
import { type Verb, type VaultOptions, vaultName } from './verb.ts';

type Body = z.input<typeof VaultImportBody>;
interface Source {
  readonly body: Body;
  readonly refused: readonly RefusedEntry[];
}

/** What is refused, here or by the server, is named, and the rest goes on. */
export const importInto: Verb = async (client, words, options, signal) => {
  const user = userOf(vaultName, words);
  const format = oneOf(vaultName, 'output', options.output ?? 'text', ['text', 'json']);
  const { body, refused } = await sourceOf(user, options, signal);
  const dryRun = options['dry-run'];
  const answer = await client.importVault(user, { ...body, replace: options.replace, dryRun }, signal);
  const all = { ...answer, refused: [...refused, ...answer.refused] };
  if (format === 'json') print(JSON.stringify({ dryRun, ...all }, null, 2));
  else {
    for (const [word, names] of [
      ['added', all.added],
      ['changed', all.changed],
      ['removed', all.removed],
    ] as const) {
      for (const name of names) print(`${dryRun ? 'would be ' : ''}${word}: ${printable(name)}`);
    }
    for (const { entry, why } of all.refused) hint(`refused: ${printable(entry)}: ${printable(why)}`);
    const done = all.added.length + all.changed.length + all.removed.length;
    hint(
      `${done} ${dryRun ? 'would change' : 'changed'}, ${all.same.length} as they were, ${all.refused.length} refused`,
    );
  }
  return all.refused.length === 0 ? exitCodes.ok : exitCodes.failed;
};

async function sourceOf(user: string, options: VaultOptions, signal: AbortSignal): Promise<Source> {
  const { git, archive, spoon, json, from = null } = options;
  const given = [git, archive, spoon, json].filter((source) => source !== undefined);
  if (given.length !== 1) throw usageError('say one of --git, --archive, --spoon and --json', vaultName);
  if (git !== undefined) {
    const { filesOfGit } = await import('./from-git.ts');
    return bodyOf(await filesOfGit({ url: git, ref: options.ref ?? 'HEAD', from }, signal));
  }
  if (archive !== undefined) {
    const { filesOfArchive } = await import('./from-archive.ts');
    return bodyOf(await filesOfArchive(archive, from, signal));
  }
  const file = spoon ?? json ?? '';
  const content = parseJson((await readInput(file)).content.toString('utf8'));
  const parsed = (spoon === undefined ? Export : SpoonTables).safeParse(content);
  if (!parsed.success) {
    const fields = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
    throw new CliError(`${file} is not what it should be (${[...new Set(fields)].slice(0, 5).join('; ')})`);
  }
  return spoon === undefined ? { body: parsed.data, refused: [] } : ofSpoon(parsed.data, user, options.owner);
}

/** Of tables that may be large, and of many users, nothing is sent but what is this user's. */
function ofSpoon(tables: Body, user: string, owner: string | undefined): Source {
  try {
    const { change, refused } = readImport(VaultImportBody.parse({ ...tables, owner }), user);
    const { body } = bodyOf({ files: change.files, refused });
    return { body: { ...body, environment: change.environment }, refused };
  } catch (error) {
    if (!(error instanceof SpoonExportError)) throw error;
    throw new CliError(`the import was refused: ${error.message}`);
  }
}

/** As `spoonbox vault export` writes it. */
const Export = VaultImportBody.pick({ dotfiles: true, environment: true });
/** Other tables of the export are nobody's business here. */
const SpoonTables = z
  .object({ userDotfiles: VaultImportBody.shape.userDotfiles, userEnvironment: VaultImportBody.shape.userEnvironment })
  .refine(({ userDotfiles, userEnvironment }) => userDotfiles !== undefined || userEnvironment !== undefined, {
    error: 'has neither userDotfiles nor userEnvironment',
  });

function bodyOf(found: FoundFiles): Source {
  checkSize(found);
  const dotfiles = found.files.map(({ path, mode, content }) => ({
    ...{ path, mode: modeText(mode) },
    ...{ content: content.toString('base64'), encoding: 'base64' as const },
  }));
  return { body: { dotfiles }, refused: found.refused };
}
