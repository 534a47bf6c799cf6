import type { FastifyReply } from 'fastify';
import { NoQuery } from '#shared/api-schemas.ts';
import { ProblemError } from '#shared/problem.ts';
import { bytesOf, modeOf, tooLarge } from '#shared/vault-import.ts';
import {
  DotfileBody,
  DotfileList,
  DotfileParams,
  DotfileView,
  modeText,
  VariableBody,
  VariableList,
  VariableParams,
  VariableView,
  VaultChanged,
  VaultParams,
} from '#shared/vault-schemas.ts';
import { defaultFileMode, maxFileBytes, maxVariableBytes, type VaultFile } from '#shared/vault.ts';
import { z } from 'zod';
import { callerOf } from './access.ts';
import type { Api } from './api.ts';
import { etagOfVault, isKnown, revisionsOf } from './etag.ts';
import { entryUnknown, fromVault, sealProblems, vaultRefused, writeProblems } from './vault-problems.ts';

/** JSON may write one byte as six. */
export const longestEscape = 6;
const fileBodyBytes = maxFileBytes * longestEscape + 1_024;
const variableBodyBytes = maxVariableBytes * longestEscape + 1_024;

const ifMatch = { 'if-match': "the vault's ETag: refused with 412 where it holds something else by now" };
const ifNoneMatch = { 'if-none-match': 'an ETag: answered with 304 while nothing changed' };

/**
 * The entries of a user's vault. Lists tell names and sizes to whoever looks; a value is told to an admin only, and by no other
 * route, event, log line or problem.
 */
export function addVaultRoutes({ app, vault }: Api): void {
  app.get(
    '/v1/users/:user/dotfiles',
    {
      config: { role: 'viewer' },
      schema: {
        summary: "List a user's dotfiles, without what is in them",
        params: VaultParams,
        querystring: NoQuery,
        requestHeaders: ifNoneMatch,
        response: { 200: DotfileList, 304: z.undefined() },
      },
    },
    async (request, reply) => {
      const { revision, files } = await fromVault(vault.list(request.params.user));
      if (isKnown(tagged(reply, revision), request.headers['if-none-match'])) return reply.code(304).send(undefined);
      const items = files.map(({ mode, ...rest }) => ({ ...rest, mode: mode === null ? null : modeText(mode) }));
      return { revision, items };
    },
  );

  app.get(
    '/v1/users/:user/dotfiles/:path',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'A dotfile, and what is in it; slashes of its path are written %2F',
        params: DotfileParams,
        querystring: NoQuery,
        response: { 200: DotfileView },
        problems: ['vault-entry-unknown', ...sealProblems],
      },
    },
    async (request, reply) => {
      const { user, path } = request.params;
      const found = await fromVault(vault.file(user, path));
      if (found === null) throw entryUnknown(user, path);
      secret(reply, found.revision);
      return { revision: found.revision, ...dotfileOf(found.file) };
    },
  );

  app.put(
    '/v1/users/:user/dotfiles/:path',
    {
      config: { role: 'admin' },
      bodyLimit: fileBodyBytes,
      schema: {
        summary: 'Put a dotfile: it is written into the home when the box starts, and now where it runs',
        params: DotfileParams,
        querystring: NoQuery,
        body: DotfileBody,
        requestHeaders: ifMatch,
        response: { 200: VaultChanged },
        problems: writeProblems,
      },
    },
    async (request, reply) => {
      const { user, path } = request.params;
      const file = { path, mode: modeOf(request.body.mode) ?? defaultFileMode, content: contentOf(request.body) };
      const written = await fromVault(vault.putFile(user, file, writerOf(request)));
      if (!written.ok) throw vaultRefused(user, path, written);
      tagged(reply, written.revision);
      return { revision: written.revision };
    },
  );

  app.delete(
    '/v1/users/:user/dotfiles/:path',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Remove a dotfile from the vault',
        params: DotfileParams,
        querystring: NoQuery,
        requestHeaders: ifMatch,
        response: { 200: VaultChanged },
        problems: ['vault-entry-unknown', ...writeProblems],
      },
    },
    async (request, reply) => {
      const { user, path } = request.params;
      const written = await fromVault(vault.removeFile(user, path, writerOf(request)));
      if (!written.ok) throw vaultRefused(user, path, written);
      tagged(reply, written.revision);
      return { revision: written.revision };
    },
  );

  app.get(
    '/v1/users/:user/environment',
    {
      config: { role: 'viewer' },
      schema: {
        summary: "List a user's environment variables, without their values",
        params: VaultParams,
        querystring: NoQuery,
        requestHeaders: ifNoneMatch,
        response: { 200: VariableList, 304: z.undefined() },
      },
    },
    async (request, reply) => {
      const { revision, variables } = await fromVault(vault.list(request.params.user));
      if (isKnown(tagged(reply, revision), request.headers['if-none-match'])) return reply.code(304).send(undefined);
      return { revision, items: [...variables] };
    },
  );

  app.get(
    '/v1/users/:user/environment/:name',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'An environment variable, and its value',
        params: VariableParams,
        querystring: NoQuery,
        response: { 200: VariableView },
        problems: ['vault-entry-unknown', ...sealProblems],
      },
    },
    async (request, reply) => {
      const { user, name } = request.params;
      const found = await fromVault(vault.variable(user, name));
      if (found === null) throw entryUnknown(user, `variable ${name}`);
      secret(reply, found.revision);
      return { name, ...found };
    },
  );

  app.put(
    '/v1/users/:user/environment/:name',
    {
      config: { role: 'admin' },
      bodyLimit: variableBodyBytes,
      schema: {
        summary: 'Put an environment variable: everything that is started in the box from now on has it',
        params: VariableParams,
        querystring: NoQuery,
        body: VariableBody,
        requestHeaders: ifMatch,
        response: { 200: VaultChanged },
        problems: writeProblems,
      },
    },
    async (request, reply) => {
      const { user, name } = request.params;
      const written = await fromVault(vault.putVariable(user, name, request.body.value, writerOf(request)));
      if (!written.ok) throw vaultRefused(user, `variable ${name}`, written);
      tagged(reply, written.revision);
      return { revision: written.revision };
    },
  );

  app.delete(
    '/v1/users/:user/environment/:name',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Remove an environment variable',
        params: VariableParams,
        querystring: NoQuery,
        requestHeaders: ifMatch,
        response: { 200: VaultChanged },
        problems: ['vault-entry-unknown', ...writeProblems],
      },
    },
    async (request, reply) => {
      const { user, name } = request.params;
      const written = await fromVault(vault.removeVariable(user, name, writerOf(request)));
      if (!written.ok) throw vaultRefused(user, `variable ${name}`, written);
      tagged(reply, written.revision);
      return { revision: written.revision };
    },
  );
}

/** Text as it is, anything else as base64. */
export function dotfileOf({ path, mode, content }: VaultFile) {
  const text = content.toString('utf8');
  const isText = Buffer.from(text).equals(content);
  return isText
    ? { path, mode: modeText(mode), encoding: 'utf8' as const, content: text }
    : { path, mode: modeText(mode), encoding: 'base64' as const, content: content.toString('base64') };
}

/** Who changes a vault, and of which revision it has to be for that. */
export function writerOf(request: Parameters<typeof callerOf>[0]) {
  return { by: callerOf(request).name, ifRevision: revisionsOf(request.headers['if-match']) };
}

/** Sets the ETag, and answers with it. */
export function tagged(reply: Pick<FastifyReply, 'header'>, revision: number): string {
  const etag = etagOfVault(revision);
  reply.header('etag', etag);
  return etag;
}

/** An answer that holds a value: nothing on the way keeps it. */
export function secret(reply: Pick<FastifyReply, 'header'>, revision: number): void {
  tagged(reply, revision);
  reply.header('cache-control', 'no-store');
}

function contentOf({ content, encoding }: z.output<typeof DotfileBody>): Buffer {
  const bytes = bytesOf(content, encoding);
  const why = bytes === null ? 'it is no base64' : bytes.length > maxFileBytes ? tooLarge(bytes.length) : null;
  if (bytes !== null && why === null) return bytes;
  throw new ProblemError('request-invalid', `refused: body.content: ${why}. Correct it and send the request again`);
}
