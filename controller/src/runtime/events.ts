import { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { type Clock, sleep } from '#shared/clock.ts';
import { engineErrorOf } from '#shared/docker.ts';
import { type InstallationId, label, UserName, userOfBoxName } from '#shared/identity.ts';
import { anyAnswer, type Engine } from './engine.ts';
import { jsonLines } from './json-lines.ts';
import type { RuntimeEvent } from './port.ts';

const operation = 'follow';
/** An idle stream is told from a dead one by asking beside it. */
const pingEveryMs = 3_000;
const firstRetryMs = 100;
const maxRetryMs = 2_000;
const keepAliveMs = 15_000;
/** A call that waits for longer when the engine is back was sent before; a younger one is resent as soon by TCP itself. */
const sentIntoNowhereMs = 3_000;

/** Asked for by name, so that the engine keeps the three events of every exec to itself: its ring holds 256. */
const filters = JSON.stringify({
  type: ['container', 'image'],
  event: [
    ...['create', 'start', 'die', 'oom', 'stop', 'destroy', 'rename', 'pause', 'unpause', 'update'],
    ...['pull', 'tag', 'untag', 'delete', 'load', 'import'],
  ],
});

/** `status`, `id` and `from` are older names for these and gone from API 1.52. */
export const EngineEvent = z.object({
  Type: z.string(),
  Action: z.string(),
  Actor: z.object({ Attributes: z.record(z.string(), z.string()).nullish() }),
});
export type EngineEvent = z.infer<typeof EngineEvent>;

export interface Followers {
  readonly event: (event: RuntimeEvent) => void;
  readonly gap: () => void;
  readonly down: (reason: string) => void;
}

/** Ends with the signal's reason, and only so. `down` is called once for each time that the stream is lost. */
export async function followEvents(
  { engine, clock, installation }: { engine: Engine; clock: Clock; installation: InstallationId },
  on: Followers,
  signal: AbortSignal,
): Promise<never> {
  let down = false;
  /** it did not answer either when the stream was lost */
  let silent = false;
  let retryMs = firstRetryMs;
  for (;;) {
    const attempt = new AbortController();
    const stop = (): void => attempt.abort(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const stream = await subscribe(engine, attempt.signal);
      if (silent) engine.giveUp('it was sent while the engine could not be reached', sentIntoNowhereMs);
      on.gap();
      down = false;
      silent = false;
      retryMs = firstRetryMs;
      await Promise.race([
        watchPings(engine, clock, attempt.signal),
        readEvents(stream, (event) => {
          for (const told of runtimeEventsOf(event, installation)) on.event(told);
        }),
      ]);
    } catch (error) {
      signal.throwIfAborted();
      const reason = engineErrorOf(operation, error).fault.message;
      if (!down) {
        on.down(reason);
        // A stream that ended, or one slow answer, says nothing of other calls: an engine that answers goes on with them.
        silent = !(await answers(engine, signal));
        if (silent) engine.giveUp(reason, 0);
      }
      down = true;
    } finally {
      signal.removeEventListener('abort', stop);
      attempt.abort();
    }
    await sleep(clock, retryMs, signal);
    retryMs = Math.min(retryMs * 2, maxRetryMs);
  }
}

/** Which users an event concerns: by the label, and by the name that the container has or had. */
export function runtimeEventsOf(event: EngineEvent, installation: InstallationId): RuntimeEvent[] {
  if (event.Type === 'image') return [{ type: 'image' }];
  if (event.Type !== 'container') return [];
  const { name = '', oldName = '', ...attributes } = event.Actor.Attributes ?? {};
  const users = new Set<UserName>();
  const labelled = UserName.safeParse(attributes[label.user]);
  if (labelled.success && attributes[label.installation] === installation) users.add(labelled.data);
  for (const containerName of [name, oldName.replace(/^\//, '')]) {
    const named = userOfBoxName(containerName);
    if (named !== null) users.add(named);
  }
  return [...users].map((user) => ({ type: 'box', user }));
}

async function subscribe(engine: Engine, signal: AbortSignal): Promise<Readable> {
  const request = { method: 'GET', path: '/events', query: { filters } } as const;
  const stream = await engine.open(operation, request, pingLimitMs(engine), signal);
  if (stream instanceof IncomingMessage) stream.socket.setKeepAlive(true, keepAliveMs);
  // The engine sends the head of its answer just before it subscribes; one more question gives it the time to.
  await ping(engine, signal);
  return stream;
}

async function readEvents(stream: Readable, onEvent: (event: EngineEvent) => void): Promise<never> {
  for await (const value of jsonLines(stream)) onEvent(EngineEvent.parse(value));
  throw new Error('the Docker engine ended its event stream');
}

async function watchPings(engine: Engine, clock: Clock, signal: AbortSignal): Promise<never> {
  for (;;) {
    await sleep(clock, pingEveryMs, signal);
    await ping(engine, signal);
  }
}

async function ping(engine: Engine, signal: AbortSignal): Promise<void> {
  await engine.ask(operation, { method: 'GET', path: '/_ping' }, anyAnswer, pingLimitMs(engine), signal);
}

async function answers(engine: Engine, signal: AbortSignal): Promise<boolean> {
  try {
    await ping(engine, signal);
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

function pingLimitMs({ timeouts }: Engine): number {
  return Math.min(timeouts.pingMs, timeouts.readMs);
}
