import type Docker from 'docker-modem';
import { EngineError } from '#shared/faults.ts';

/**
 * Connects at the first use, and again until it succeeds once: a gateway may start before its engine, and answers until then
 * that it is unreachable.
 */
export function connectOnce(connect: () => Promise<Docker>): () => Promise<Docker> {
  let connected: Docker | null = null;
  return async () => {
    try {
      connected ??= await connect();
      return connected;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new EngineError({ operation: 'connect', kind: 'unreachable', status: null, message }, { cause: error });
    }
  };
}
