import fastifyStatic from '@fastify/static';
import type { FastifyReply } from 'fastify';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { problemOf } from '#shared/problem.ts';
import type { Api } from './api.ts';
import { terminalUrlOf } from './other-routes.ts';

/** Where `npm run console` puts the page. */
export const consoleDir = new URL('../../console/dist', import.meta.url).pathname;

/** Its name changes whenever its content does. */
const assetMaxAgeMs = 365 * 86_400_000;
/** What a build makes; no path leads out of its folder. */
const filePattern = /^(?:assets\/)?[A-Za-z0-9_-][A-Za-z0-9_.-]*$/;

const notBuilt = `<!doctype html>
<meta charset="utf-8">
<title>Spoonbox: the console is not built</title>
<h1>The console is not built here</h1>
<p>The API works. To get the page, run <code>npm run console</code> where this controller was started from, and load this
page again. <code>npm start</code> does it by itself.</p>
`;

/** The web page for operators, as built, from `dir`. */
export function addConsoleRoutes({ app, config }: Pick<Api, 'app' | 'config'>, dir: string = consoleDir): void {
  const headers = {
    'content-security-policy': policy(terminalUrlOf(config)),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
  };

  app.register(async (scope) => {
    await scope.register(fastifyStatic, { root: dir, serve: false });
    const send = (reply: FastifyReply, path: string, maxAgeMs: number): FastifyReply => {
      reply.headers(headers);
      if (filePattern.test(path) && existsSync(join(dir, path))) {
        return reply.sendFile(path, { maxAge: maxAgeMs, immutable: maxAgeMs > 0 });
      }
      if (path === 'index.html') return reply.code(503).type('text/html; charset=utf-8').send(notBuilt);
      const detail = `the console has no file ${path}: it was built anew meanwhile, or never had one; load the page again`;
      return reply
        .code(404)
        .type('application/problem+json')
        .send(JSON.stringify(problemOf('route-unknown', detail)));
    };
    // They are files, the same for everybody; what they ask of the API asks who it is.
    const open = { config: { role: 'anyone' } } as const;
    scope.get('/', open, async (_request, reply) => reply.redirect('console/', 302));
    scope.get('/console', open, async (_request, reply) => reply.redirect('console/', 302));
    scope.get('/console/', open, (_request, reply) => send(reply, 'index.html', 0));
    scope.get<{ Params: { '*': string } }>('/console/*', open, (request, reply) => {
      const path = request.params['*'];
      return send(reply, path, path.startsWith('assets/') ? assetMaxAgeMs : 0);
    });
  });
}

/**
 * Nothing comes from elsewhere, no script is inline, and the page talks to this API and to the gateway alone. Inline styles are
 * allowed because xterm.js makes style elements for colours and cell sizes, without a way to give them a nonce.
 */
function policy(terminalUrl: string): string {
  const { protocol, host } = new URL(terminalUrl);
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    `connect-src 'self' ${protocol}//${host}`,
    "font-src 'self'",
    "img-src 'self' data:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}
