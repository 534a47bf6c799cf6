import Docker from 'docker-modem';
import { z } from 'zod';
import { type ApiVersion, compareApi, defaultSocket, engineAddress, newestApi, oldestApi } from './engine-address.ts';
import { EngineError, type FaultKind, StartError } from './faults.ts';

/**
 * How both processes reach a Docker engine: where it listens, which API version is spoken, how it is asked, how its errors are
 * named. By docker-modem alone: dockerode around it loads gRPC and Protocol Buffers, a tenth of what a process needs to start,
 * puts a whole create body into the query string, changes the objects it is given, and does not take a signal everywhere.
 */

const connectTimeoutMs = 10_000;
/** The engine's own words are kept up to this length. */
const maxMessageLength = 500;

/**
 * Asks the engine for its version and answers a client that speaks the newest one that both know. Every refusal is a
 * StartError of one line that says what to do.
 *
 * The client is given no agent: docker-modem inspects its whole options object at every request, and an agent with 50
 * idle sockets made that cost 11 ms instead of 0.3. Plain calls share Node's own keep-alive agent.
 */
export async function connectDocker(dockerHost: string | null): Promise<Docker> {
  const address = addressOf(dockerHost);
  const place = dockerHost ?? `unix://${defaultSocket}`;
  const engine = await engineVersion(new Docker({ ...address, version: undefined }), place);
  const newest = versionOf(engine.ApiVersion, place);
  const oldest = versionOf(engine.MinAPIVersion ?? '1.12', place);
  if (compareApi(newest, oldestApi) < 0) {
    throw new StartError(
      `The Docker engine at ${place} speaks API ${text(newest)}; Spoonbox needs ${text(oldestApi)} or newer: upgrade it to Docker 20.10 or later.`,
    );
  }
  if (compareApi(oldest, newestApi) > 0) {
    throw new StartError(
      `The Docker engine at ${place} refuses APIs older than ${text(oldest)}; this Spoonbox speaks up to ${text(newestApi)}: upgrade Spoonbox.`,
    );
  }
  const agreed = compareApi(newest, newestApi) < 0 ? newest : newestApi;
  return new Docker({ ...address, version: `v${text(agreed)}` });
}

export interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: object;
  /** whom a registry is asked as. Secret: it goes into a header, and nowhere else */
  readonly registryAuth?: Readonly<Record<string, string>>;
}

/**
 * One request: what is answered, parsed; or as a stream; or the connection itself. 304 ("already so") is a success. Rejects with
 * what `engineErrorOf` names; without a time limit, see `engineCall`.
 */
export function askEngine(
  docker: Docker,
  request: EngineRequest,
  how: 'answer' | 'stream' | 'take',
  abortSignal: AbortSignal,
): Promise<unknown> {
  const options = {
    path: request.query === undefined ? request.path : `${request.path}?`,
    method: request.method,
    options: { _query: request.query, _body: request.body ?? {} },
    ...(request.registryAuth && { authconfig: request.registryAuth }),
    statusCodes: { 200: true, 201: true, 204: true, 304: true },
    isStream: how !== 'answer',
    hijack: how === 'take',
    abortSignal,
  };
  return new Promise((resolve, reject) => {
    docker.dial(options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

/**
 * Runs one call on the engine with a time limit. Rejects with an EngineError, or with the caller's reason when `signal`
 * was aborted. The limit is a signal, never docker-modem's `timeout`, which would also cut hijacked connections.
 */
export async function engineCall<T>(
  operation: string,
  timeoutMs: number,
  call: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const limit = new AbortController();
  const timer = setTimeout(() => {
    const message = `no answer within ${timeoutMs} ms`;
    limit.abort(new EngineError({ operation, kind: 'timeout', status: null, message }));
  }, timeoutMs);
  const onAbort = (): void => limit.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  // The race is there because docker-modem forgets some answers that break off half-way.
  const cut = new Promise<never>((_resolve, reject) => {
    limit.signal.addEventListener('abort', () => reject(limit.signal.reason), { once: true });
  });
  try {
    return await Promise.race([call(limit.signal), cut]);
  } catch (error) {
    if (limit.signal.aborted) throw limit.signal.reason;
    throw engineErrorOf(operation, error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** Names what went wrong in a call on the engine. An EngineError stays as it is. */
export function engineErrorOf(operation: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (error instanceof z.ZodError) {
    const message = `the Docker engine's answer is not as agreed: ${z.prettifyError(error)}`;
    return new EngineError({ operation, kind: 'failed', status: null, message: shortened(message) }, { cause: error });
  }
  const parsed = ModemError.safeParse(error);
  const { statusCode = null, code, message = String(error), json } = parsed.success ? parsed.data : {};
  const words = statusCode === null ? message : (json?.message ?? message.replace(/^\(HTTP code \d+\) .*? - /, ''));
  const fault = { operation, kind: kindOf(statusCode, code), status: statusCode, message: shortened(words) };
  return new EngineError(fault, { cause: error });
}

/** What docker-modem and Node's sockets throw. */
const ModemError = z.object({
  message: z.string().optional(),
  statusCode: z.number().optional(),
  code: z.string().optional(),
  json: z.object({ message: z.string() }).optional().catch(undefined),
});

function kindOf(status: number | null, code: string | undefined): FaultKind {
  // A system error code means that the connection failed, or broke before the answer was there.
  if (status === null) return code !== undefined && /^E[A-Z_]+$/.test(code) ? 'unreachable' : 'failed';
  if (status === 404) return 'not-found';
  if (status === 409) return 'conflict';
  return status < 500 ? 'invalid' : 'failed';
}

/** Every field is named, because docker-modem fills what is missing from the environment. */
function addressOf(dockerHost: string | null): Docker.ConstructorOptions {
  const none = { ca: undefined, cert: undefined, key: undefined, timeout: undefined };
  const nowhere = { socketPath: undefined, host: undefined, port: undefined };
  return { ...none, ...nowhere, ...engineAddress(dockerHost), protocol: 'http' };
}

const EngineVersion = z.object({ ApiVersion: z.string(), MinAPIVersion: z.string().optional() });

async function engineVersion(docker: Docker, place: string): Promise<z.infer<typeof EngineVersion>> {
  const ask = (limit: AbortSignal): Promise<unknown> =>
    askEngine(docker, { method: 'GET', path: '/version' }, 'answer', limit);
  try {
    const answer = await engineCall('version', connectTimeoutMs, ask, new AbortController().signal);
    return EngineVersion.parse(answer);
  } catch (error) {
    throw new StartError(refusal(place, error), 1, { cause: error });
  }
}

function refusal(place: string, error: unknown): string {
  const cause = error instanceof EngineError ? ModemError.safeParse(error.cause) : null;
  const code = cause?.success ? cause.data.code : undefined;
  if (code === 'EACCES' || code === 'EPERM') {
    return `No permission on the Docker engine's socket ${place}: run as root, or add this user to the group docker and log in again.`;
  }
  if (code !== undefined) {
    return `No Docker engine answers at ${place} (${code}): start it, or set DOCKER_HOST to where it listens.`;
  }
  const why = error instanceof EngineError ? error.fault.message : String(error);
  return `What answers at ${place} is no usable Docker engine: ${why.replaceAll(/\s+/g, ' ')}. Set DOCKER_HOST to where one listens.`;
}

function versionOf(version: string, place: string): ApiVersion {
  const [major, minor] = version.split('.').map(Number);
  if (major === undefined || minor === undefined || !Number.isInteger(major) || !Number.isInteger(minor)) {
    throw new StartError(`The Docker engine at ${place} names its API version ${version}, which is no version.`);
  }
  return { major, minor };
}

function text(version: ApiVersion): string {
  return `${version.major}.${version.minor}`;
}

function shortened(message: string): string {
  const line = message.trim();
  return line.length <= maxMessageLength ? line : `${line.slice(0, maxMessageLength)}…`;
}
