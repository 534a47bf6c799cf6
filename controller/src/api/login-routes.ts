import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { NoQuery } from '#shared/api-schemas.ts';
import { LoginBody, LoginLinkBody, LoginLinkReply, WhoAmI } from '#shared/operator-schemas.ts';
import { mayDo } from '#shared/token-check.ts';
import { callerOf, roleTooLow } from './access.ts';
import type { Api } from './api.ts';
import { cookieName, cookieOf, refusedCode } from './credential.ts';
import { terminalUrlOf } from './other-routes.ts';
import { fromStore } from './problem-reply.ts';
import { refuseForeignOrigin } from './same-origin.ts';
import { loginTtlMs } from '../store/login-store.ts';

/** How a browser becomes a console: a link with a code, which is changed, once, for a cookie that no script can read. */
export function addLoginRoutes({ app, access, config }: Api): void {
  const { logins } = access;
  const cookie = {
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure: config.publicUrl.startsWith('https:'),
  } as const;

  app.post(
    '/v1/login-links',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'Get a link that lets one browser into the console, once, as no more than who asks',
        querystring: NoQuery,
        body: LoginLinkBody,
        response: { 200: LoginLinkReply },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const { by, name, tokenId } = caller;
      const role = request.body.role ?? caller.role;
      if (!mayDo(caller.role, role)) throw roleTooLow(caller, role);
      const maker = { name: by === 'cookie' ? name : `${name} (console)`, tokenId, role };
      const { code, expiresAt } = await fromStore(logins.makeCode(maker));
      reply.header('cache-control', 'no-store');
      return { url: `${config.publicUrl}/console/#login=${code}`, expiresAt };
    },
  );

  app.post(
    '/v1/session',
    {
      config: { role: 'anyone' },
      schema: {
        summary: 'Log in with the code of a link; answers with a cookie',
        querystring: NoQuery,
        body: LoginBody,
        response: { 200: WhoAmI },
        problems: ['login-code-wrong', 'csrf-refused', 'too-many-requests'],
      },
    },
    async (request, reply) => {
      refuseForeignOrigin(request, config.publicUrl);
      const login = await fromStore(logins.logIn(request.body.code));
      if (login === null) {
        await access.rates.countFailure(request);
        throw refusedCode();
      }
      reply.setCookie(cookieName, login.cookie, { ...cookie, maxAge: loginTtlMs / 1_000 });
      return whoAmI(reply, { role: login.role, name: login.name, by: 'cookie', expiresAt: login.expiresAt });
    },
  );

  app.get(
    '/v1/session',
    {
      config: { role: 'viewer' },
      schema: { summary: 'Who asks, and what that may do', querystring: NoQuery, response: { 200: WhoAmI } },
    },
    async (request, reply) => {
      const { role, name, by, expiresAt } = callerOf(request);
      return whoAmI(reply, { role, name, by, expiresAt });
    },
  );

  app.delete(
    '/v1/session',
    {
      config: { role: 'viewer' },
      schema: { summary: 'Log this browser out', querystring: NoQuery, response: { 204: z.undefined() } },
    },
    async (request, reply) => {
      const shown = cookieOf(request);
      if (shown !== null) {
        await fromStore(logins.logOut(shown));
        access.forgetLogin(shown);
      }
      return reply.clearCookie(cookieName, cookie).code(204).send(undefined);
    },
  );

  function whoAmI(reply: FastifyReply, who: Omit<WhoAmI, 'terminalUrl'>): WhoAmI {
    reply.header('cache-control', 'no-store');
    return { ...who, terminalUrl: terminalUrlOf(config) };
  }
}
