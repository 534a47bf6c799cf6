import { Agent, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import type { EngineAddress } from '#shared/engine-address.ts';
import type { FilterLimits } from './limits.ts';
import { EngineSilent, Refused } from './refused.ts';

/** The real engine. Every path and body given to it was made here, not by a client. */
export interface Engine {
  /** The body of a 2xx answer. Throws a Refused with the engine's status and words, or EngineSilent. */
  ask(call: EngineCall, signal: AbortSignal): Promise<string>;
  /** Starts an exec and takes over the connection. Throws the same. */
  takeOver(call: EngineCall, signal: AbortSignal): Promise<Socket>;
  close(): void;
}

export interface EngineCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** serialised; null: none */
  readonly body: string | null;
}

export function createEngine(address: EngineAddress, limits: FilterLimits): Engine {
  const agent = new Agent({ keepAlive: true, maxSockets: limits.engineCallsAtOnce });

  function open(call: EngineCall, upgrade: boolean, signal: AbortSignal): ReturnType<typeof request> {
    const { method, path, body } = call;
    const length =
      body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const opened = request({
      ...address,
      agent: upgrade ? false : agent,
      method,
      path,
      headers: { host: 'docker', ...length, ...(upgrade ? { connection: 'Upgrade', upgrade: 'tcp' } : {}) },
      signal: AbortSignal.any([signal, AbortSignal.timeout(limits.engineWithinMs)]),
    });
    opened.end(body ?? undefined);
    return opened;
  }

  return {
    ask(call, signal) {
      return new Promise((resolve, reject) => {
        const asked = open(call, false, signal);
        asked.on('error', (error) => reject(silent(error)));
        asked.once('response', (answer) => {
          textOf(answer, limits).then((text) => {
            const status = answer.statusCode ?? 0;
            if (status >= 200 && status < 300) resolve(text);
            else reject(refusalOf(status, text));
          }, reject);
        });
      });
    },
    takeOver(call, signal) {
      return new Promise((resolve, reject) => {
        const started = open(call, true, signal);
        started.on('error', (error) => reject(silent(error)));
        started.once('response', (answer) => {
          textOf(answer, limits).then((text) => reject(refusalOf(answer.statusCode ?? 0, text)), reject);
        });
        started.once('upgrade', (_answer, stream, head) => {
          stream.on('error', () => {}); // a `close` follows
          stream.setNoDelay(true);
          if (head.length > 0) stream.unshift(head);
          resolve(stream);
        });
      });
    },
    close() {
      agent.destroy();
    },
  };
}

async function textOf(answer: IncomingMessage, limits: FilterLimits): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of answer) {
      const bytes = Buffer.from(part);
      parts.push(bytes);
      length += bytes.length;
      if (length > limits.answerBytes)
        throw new EngineSilent(`the engine answered with more than ${limits.answerBytes} bytes`);
    }
  } catch (error) {
    throw silent(error);
  }
  return Buffer.concat(parts).toString();
}

/** An answer that is no refusal, where a refusal or a takeover had to come, is no answer of an engine. */
function refusalOf(status: number, text: string): Error {
  if (status < 400) return new EngineSilent(`the engine answered ${status}`);
  return new Refused(messageIn(text), status, true);
}

function messageIn(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed) return String(parsed.message);
  } catch {
    // as it is
  }
  return text.trim();
}

function silent(error: unknown): EngineSilent {
  if (error instanceof EngineSilent) return error;
  return new EngineSilent(error instanceof Error ? error.message : String(error), { cause: error });
}
