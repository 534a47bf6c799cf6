import type { FastifyReply } from 'fastify';
import { NoQuery } from '#shared/api-schemas.ts';
import { LoginBody, LoginLinkBody, type LoginLinkReply, type WhoAmI } from '#shared/operator-schemas.ts';
import { callerOf } from './access.ts';
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
    { config: { role: 'admin' }, schema: { querystring: NoQuery, body: LoginLinkBody } },
    async (request, reply): Promise<LoginLinkReply> => {
      const { by, name, tokenId } = callerOf(request);
      const maker = { name: by === 'cookie' ? name : `${name} (console)`, tokenId };
      const { code, expiresAt } = await fromStore(logins.makeCode(maker));
      reply.header('cache-control', 'no-store');
      return { url: `${config.publicUrl}/console/#login=${code}`, expiresAt };
    },
  );

  app.post(
    '/v1/session',
    { config: { role: 'anyone' }, schema: { querystring: NoQuery, body: LoginBody } },
    async (request, reply): Promise<WhoAmI> => {
      refuseForeignOrigin(request, config.publicUrl);
      const login = await fromStore(logins.logIn(request.body.code));
      if (login === null) {
        await access.rates.countFailure(request);
        throw refusedCode();
      }
      reply.setCookie(cookieName, login.cookie, { ...cookie, maxAge: loginTtlMs / 1_000 });
      return whoAmI(reply, { role: 'admin', name: login.name, by: 'cookie', expiresAt: login.expiresAt });
    },
  );

  app.get('/v1/session', { config: { role: 'viewer' }, schema: { querystring: NoQuery } }, async (request, reply) => {
    const { role, name, by, expiresAt } = callerOf(request);
    return whoAmI(reply, { role, name, by, expiresAt });
  });

  app.delete(
    '/v1/session',
    { config: { role: 'viewer' }, schema: { querystring: NoQuery } },
    async (request, reply) => {
      const shown = cookieOf(request);
      if (shown !== null) {
        await fromStore(logins.logOut(shown));
        access.forgetLogin(shown);
      }
      return await reply.clearCookie(cookieName, cookie).code(204).send();
    },
  );

  function whoAmI(reply: FastifyReply, who: Omit<WhoAmI, 'terminalUrl'>): WhoAmI {
    reply.header('cache-control', 'no-store');
    return { ...who, terminalUrl: terminalUrlOf(config) };
  }
}
