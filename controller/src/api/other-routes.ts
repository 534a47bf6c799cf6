import { createHash } from 'node:crypto';
import { z } from 'zod';
import {
  BoxParams,
  ClassList,
  type ClassView,
  NoQuery,
  TerminalTokenBody,
  TerminalTokenReply,
} from '#shared/api-schemas.ts';
import type { BoxClass } from '#shared/box-class.ts';
import { ProblemError } from '#shared/problem.ts';
import { createToolStore, type ToolReport, wantedOf } from '#shared/tools.ts';
import { terminalPath } from '#shared/terminal-protocol.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import type { Api, ApiConfig } from './api.ts';
import { fromStore } from './problem-reply.ts';

const Healthy = z.object({ ok: z.literal(true) });
/** `leader`: who leads, as far as this process knows. `warnings`: what somebody should look at all the same. */
const Ready = z.object({ ok: z.literal(true), leader: z.looseObject({}), warnings: z.array(z.string()) });

/** Terminal tokens, classes, health. None of them needs Redis, but for the tools of classes that promise some. */
export function addOtherRoutes({ app, classes, config, health, redis, keys }: Api): void {
  const terminalUrl = terminalUrlOf(config);

  app.post(
    '/v1/boxes/:user/terminal-tokens',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Get a token that opens one terminal, once',
        params: BoxParams,
        querystring: NoQuery,
        body: TerminalTokenBody,
        response: { 200: TerminalTokenReply },
      },
    },
    async (request, reply) => {
      const { user } = request.params;
      const { token, session, expiresAt } = await signTerminalToken(config.terminalSecret, { user, ...request.body });
      reply.header('cache-control', 'no-store');
      // By the session in it, proxies send all sockets of one session to one gateway.
      const url = new URL(terminalUrl);
      url.searchParams.set('session', session);
      return { token, url: url.href, session, expiresAt };
    },
  );

  app.get(
    '/v1/classes',
    {
      config: { role: 'viewer' },
      schema: { summary: 'The classes that a box may have', querystring: NoQuery, response: { 200: ClassList } },
    },
    async () => {
      const all = [...classes.values()];
      // Where no class promises anything, nothing is asked.
      const isAsked = all.some(({ tools }) => tools.length > 0);
      const reports = isAsked ? await fromStore(createToolStore(redis, keys).read()) : [];
      return { items: all.map((boxClass) => classView(boxClass, reports)) };
    },
  );

  const liveness = { summary: 'The process lives', response: { 200: Healthy } };
  app.get('/healthz', { config: { role: 'anyone' }, schema: liveness }, async () => ({ ok: true as const }));

  const readiness = {
    summary: 'The controller can do its work',
    response: { 200: Ready },
    problems: ['not-ready'],
  } as const;
  app.get('/readyz', { config: { role: 'anyone' }, schema: readiness }, async () => {
    const { ok, reasons, warnings = [] } = health.ready();
    if (ok) return { ok: true as const, leader: { ...health.leader() }, warnings: [...warnings] };
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

function classView(boxClass: BoxClass, reports: readonly ToolReport[]) {
  const { name, description, image, limits, idle, stopGrace, tools } = boxClass;
  const report = reports.find((one) => one.class === name && one.wanted === wantedOf(tools));
  return {
    name,
    description,
    image,
    hash: createHash('sha256').update(JSON.stringify(boxClass)).digest('hex').slice(0, 16),
    limits: { memoryBytes: limits.memory, cpus: limits.cpus, pids: limits.pids },
    idle: { detachedMs: idle.detached, attachedMs: idle.attached },
    stopGraceMs: stopGrace,
    tools: tools.map((tool) => toolView(tool.name, report)),
  };
}

function toolView(name: string, report: ToolReport | undefined): ClassView['tools'][number] {
  const proof = report?.tools.find((tool) => tool.name === name);
  if (proof === undefined) return { name, state: 'unproved', version: '', message: '' };
  const { isThere, version, message } = proof;
  return { name, state: isThere ? 'present' : 'missing', version, message };
}
