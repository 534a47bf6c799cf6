import { Duplex, Readable } from 'node:stream';
import type Docker from 'docker-modem';
import { z } from 'zod';
import { askEngine, engineCall, type EngineRequest } from '#shared/docker.ts';
import { EngineError, type FaultKind } from '#shared/faults.ts';

/** Time limits of calls on the engine; a wait that belongs to the box (stop grace, readiness) comes on top. */
export interface EngineTimeouts {
  /** list, inspect, ping */
  readonly readMs: number;
  /** whether the engine is there at all: the question that costs it nothing */
  readonly pingMs: number;
  /** create, start, rename, unpause, remove, networks: what the engine does by itself, on a busy disk */
  readonly changeMs: number;
  /** what a stop may take beyond the grace: the engine waits 10 s for the KILL to work, and then tries again */
  readonly stopMarginMs: number;
  /** a helper container's whole life */
  readonly helperMs: number;
  /** a pull that shows no sign of progress for this long is given up */
  readonly pullSilenceMs: number;
}

export const defaultTimeouts: EngineTimeouts = {
  readMs: 15_000,
  pingMs: 5_000,
  changeMs: 60_000,
  stopMarginMs: 30_000,
  helperMs: 60_000,
  pullSilenceMs: 300_000,
};

/** Any answer will do: the call's success is all that is asked. */
export const anyAnswer = z.unknown();

const StreamAnswer = z.instanceof(Readable);
const ConnectionAnswer = z.instanceof(Duplex);

/** One request, one checked answer. 304 ("already so") is a success. */
export interface Engine {
  readonly timeouts: EngineTimeouts;
  ask<T>(
    operation: string,
    request: EngineRequest,
    answer: z.ZodType<T>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<T>;
  /** The answer's body as it comes. It ends with `signal`, or when destroyed; the limit is only for its beginning. */
  open(operation: string, request: EngineRequest, timeoutMs: number, signal: AbortSignal): Promise<Readable>;
  /** The connection itself, taken over from HTTP: both ways. Who asks closes it; the limit is for its beginning. */
  take(operation: string, request: EngineRequest, timeoutMs: number, signal: AbortSignal): Promise<Duplex>;
  /**
   * Ends every call that has waited so long for its answer as unreachable: whoever learns that the engine is not there, or is
   * there again, knows that they were sent into nowhere. Without a reset from the other end each would wait for its own
   * limit, and a resent packet for as long again as the network was gone.
   */
  giveUp(why: string, waitedMs: number): void;
}

/** A request was answered after `tookMs`, or was not: `fault` says how; `aborted` is nobody's fault. */
export type OnEngineCall = (call: string, tookMs: number, fault: FaultKind | 'aborted' | null) => void;

export function createEngine(docker: Docker, timeouts: EngineTimeouts, onCall: OnEngineCall = () => {}): Engine {
  /** calls that wait for their answer: what they are, and since when */
  const waiting = new Map<AbortController, { operation: string; sinceMs: number }>();

  async function limited<T>(
    operation: string,
    timeoutMs: number,
    call: (limit: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const end = new AbortController();
    const sinceMs = performance.now();
    const told = (fault: FaultKind | 'aborted' | null): void => onCall(operation, performance.now() - sinceMs, fault);
    waiting.set(end, { operation, sinceMs });
    try {
      const answer = await engineCall(operation, timeoutMs, call, AbortSignal.any([signal, end.signal]));
      told(null);
      return answer;
    } catch (error) {
      if (error instanceof EngineError) told(error.fault.kind);
      else told(signal.aborted ? 'aborted' : 'failed');
      throw error;
    } finally {
      waiting.delete(end);
    }
  }

  return {
    timeouts,
    giveUp(why, waitedMs) {
      for (const [end, { operation, sinceMs }] of waiting) {
        if (performance.now() - sinceMs < waitedMs) continue;
        const message = `no answer came: ${why}`;
        end.abort(new EngineError({ operation, kind: 'unreachable', status: null, message }));
      }
    },
    async ask(operation, request, answer, timeoutMs, signal) {
      const call = async (limit: AbortSignal) => answer.parse(await askEngine(docker, request, 'answer', limit));
      return await limited(operation, timeoutMs, call, signal);
    },
    async take(operation, request, timeoutMs, signal) {
      const call = async (limit: AbortSignal) =>
        ConnectionAnswer.parse(await askEngine(docker, request, 'take', limit));
      return await limited(operation, timeoutMs, call, signal);
    },
    async open(operation, request, timeoutMs, signal) {
      const life = new AbortController();
      const begin = async (limit: AbortSignal): Promise<Readable> => {
        limit.addEventListener('abort', () => life.abort(limit.reason), { once: true });
        return StreamAnswer.parse(await askEngine(docker, request, 'stream', life.signal));
      };
      const stream = await limited(operation, timeoutMs, begin, signal);
      const onAbort = (): void => void stream.destroy();
      signal.addEventListener('abort', onAbort, { once: true });
      stream.once('close', () => signal.removeEventListener('abort', onAbort));
      if (signal.aborted) onAbort();
      return stream;
    },
  };
}
