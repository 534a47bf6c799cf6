import type Docker from 'docker-modem';
import { askEngine, engineCall, type EngineRequest } from '#shared/docker.ts';
import { callTimeoutMs } from './limits.ts';

/** A process must be looked at, to end it, whatever else was given up. */
const never = new AbortController().signal;

/** One request, which has a time limit and is not given up before; its answer. Rejects with an EngineError. */
export function ask(docker: Docker, operation: string, request: EngineRequest): Promise<unknown> {
  const within = (limit: AbortSignal): Promise<unknown> => askEngine(docker, request, 'answer', limit);
  return engineCall(operation, callTimeoutMs, within, never);
}
