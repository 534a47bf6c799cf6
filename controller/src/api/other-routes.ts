import { createHash } from 'node:crypto';
import { BoxParams, NoQuery, TerminalTokenBody, type TerminalTokenReply } from '#shared/api-schemas.ts';
import type { BoxClass } from '#shared/box-class.ts';
import { ProblemError } from '#shared/problem.ts';
import { terminalPath } from '#shared/terminal-protocol.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import type { Api, ApiConfig } from './api.ts';

/** Terminal tokens, classes, health. None of them needs Redis. */
export function addOtherRoutes({ app, classes, config, health }: Api): void {
  const terminalUrl = terminalUrlOf(config);

  app.post(
    '/v1/boxes/:user/terminal-tokens',
    { config: { role: 'admin' }, schema: { params: BoxParams, querystring: NoQuery, body: TerminalTokenBody } },
    async (request, reply): Promise<TerminalTokenReply> => {
      const { user } = request.params;
      const { token, session, expiresAt } = await signTerminalToken(config.terminalSecret, { user, ...request.body });
      reply.header('cache-control', 'no-store');
      // By the session in it, proxies send all sockets of one session to one gateway.
      const url = new URL(terminalUrl);
      url.searchParams.set('session', session);
      return { token, url: url.href, session, expiresAt };
    },
  );

  app.get('/v1/classes', { config: { role: 'viewer' }, schema: { querystring: NoQuery } }, async () => ({
    items: [...classes.values()].map(classView),
  }));

  app.get('/healthz', { config: { role: 'anyone' } }, async () => ({ ok: true }));

  app.get('/readyz', { config: { role: 'anyone' } }, async () => {
    const { ok, reasons } = health.ready();
    if (ok) return { ok, leader: health.leader() };
    throw new ProblemError('not-ready', `the controller cannot do its work: ${reasons.join('; ')}`, {
      extras: { reasons, leader: health.leader() },
    });
  });
}

/** The public URL is a host, as Spoon's settings have it, or already the whole path. */
export function terminalUrlOf({ publicWsUrl, gatewayPort }: Pick<ApiConfig, 'publicWsUrl' | 'gatewayPort'>): string {
  const trimmed = (publicWsUrl ?? `ws://127.0.0.1:${gatewayPort}`).replace(/\/+$/, '');
  return trimmed.endsWith(terminalPath) ? trimmed : trimmed + terminalPath;
}

function classView(boxClass: BoxClass) {
  const { name, description, image, limits, idle, stopGrace } = boxClass;
  return {
    name,
    description,
    image,
    hash: createHash('sha256').update(JSON.stringify(boxClass)).digest('hex').slice(0, 16),
    limits: { memoryBytes: limits.memory, cpus: limits.cpus, pids: limits.pids },
    idle: { detachedMs: idle.detached, attachedMs: idle.attached },
    stopGraceMs: stopGrace,
  };
}
