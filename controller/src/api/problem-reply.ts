import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import { type ProblemCode, ProblemError, problemMediaType } from '#shared/problem.ts';

const retryAfterS = 2;

/** What fastify itself refuses, under codes of ours. */
const ofFastify: Record<string, { code: ProblemCode; detail: string }> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'media-type-unsupported',
    detail: 'only application/json is read here: set the Content-Type header',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'body-not-json', detail: 'the body is empty, but its type says JSON' },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'body-not-json', detail: 'the body cannot be read as JSON: check its syntax' },
  FST_ERR_BAD_URL: { code: 'url-invalid', detail: 'the path has a broken percent-encoding: encode it again' },
};

/** The one place where an error becomes an answer. No stack and no text of an unexpected error ever leaves it. */
export function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): void {
  const known = error instanceof ProblemError ? error : translated(error, request);
  // `not-ready` is an answer, not a failure: whoever asks asks often. Nor is it one that somebody went before the answer.
  if (known.problem.status >= 500 && known.problem.code !== 'not-ready' && !reply.raw.destroyed) {
    const path = request.routeOptions.url ?? 'unknown route';
    log.warn({ error: known.cause ?? known, method: request.method, route: path }, known.message);
  }
  reply.code(known.problem.status).headers(known.headers).type(problemMediaType).send(JSON.stringify(known.problem));
}

/**
 * A call of the store, with its failure as a problem. Everything that the store rejects with is "Redis does not answer",
 * except for a reply of the wrong shape, which is a defect.
 */
export async function fromStore<Value>(answer: Promise<Value>): Promise<Value> {
  try {
    return await answer;
  } catch (error) {
    const isOurs = error instanceof ProblemError || error instanceof z.ZodError || error instanceof SyntaxError;
    if (isOurs) throw error;
    throw new ProblemError(
      'redis-unavailable',
      'the request needs Redis, which does not answer: boxes and open terminals go on; try again in a moment',
      { headers: { 'retry-after': String(retryAfterS) }, cause: error },
    );
  }
}

/** A question to the engine, with its failure as a problem. */
export async function fromEngine<Value>(answer: Promise<Value>): Promise<Value> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new ProblemError(
      'engine-unavailable',
      `the request needs the container engine, which does not answer (${error.message}): start it, or try again in a moment`,
      { headers: { 'retry-after': String(retryAfterS) }, cause: error },
    );
  }
}

function translated(error: unknown, request: FastifyRequest): ProblemError {
  if (!isFastifyError(error)) {
    return new ProblemError('internal', 'the request failed for a reason of ours; the log tells more', {
      cause: error,
    });
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const most = Math.floor(request.routeOptions.bodyLimit / 1_024);
    return new ProblemError('body-too-large', `the body is over ${most} KiB: send less`);
  }
  const entry = ofFastify[error.code];
  if (entry) return new ProblemError(entry.code, entry.detail);
  if (error.code === undefined && error.statusCode === 400 && error instanceof SyntaxError) {
    return new ProblemError('body-not-json', 'the body cannot be read as JSON: check its syntax');
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new ProblemError('request-refused', error.message);
  }
  return new ProblemError('internal', 'the request failed for a reason of ours; the log tells more', { cause: error });
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && ('code' in error || 'statusCode' in error);
}
