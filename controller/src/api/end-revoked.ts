import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ServerResponse } from 'node:http';
import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import type { Access } from './access.ts';

/** How often it is looked whether who waits for an answer, or watches, may still ask. */
const lookEveryMs = 5_000;

/**
 * Cuts answers that take long (watches, waits) once who asked for them may not ask any more: what was asked before a token was
 * revoked must not go on for as long as its client likes. While Redis is down nothing is cut.
 */
export function endRevoked(app: FastifyInstance, access: Access, clock: Clock, log: Logger): void {
  const open = new Map<ServerResponse, FastifyRequest>();
  let ended = false;
  let cancel = (): void => {};

  app.addHook('onRequest', async (request, reply) => {
    if (request.caller === null) return;
    open.set(reply.raw, request);
    reply.raw.once('close', () => open.delete(reply.raw));
  });
  app.addHook('onClose', async () => {
    ended = true;
    cancel();
  });
  lookLater();

  function lookLater(): void {
    cancel = clock.after(lookEveryMs, () => {
      void look().then(() => {
        if (!ended) lookLater();
      });
    });
  }

  /** One after the other: of those with one token only the first is looked up in Redis. */
  async function look(): Promise<void> {
    for (const [response, request] of [...open]) {
      const isStill = await access.isStill(request).catch((error: unknown) => {
        log.debug({ error }, 'whether an open answer may go on could not be looked up');
        return true;
      });
      if (isStill || !open.has(response)) continue;
      log.info({ by: request.caller?.name, callerId: request.caller?.id }, 'an answer was cut: its token was revoked');
      response.destroy();
    }
  }
}
