import type { z } from 'zod';
import {
  type ActionBody,
  type BoxEventView,
  BoxList,
  BoxView,
  EventList,
  type LeaseBody,
  LeaseReply,
  ReleaseReply,
  RemovedEvent,
  TerminalTokenReply,
} from '#shared/api-schemas.ts';
import { Problem } from '#shared/problem.ts';
import { CliError, exitCodes } from './command.ts';
import { readEvents } from './server-events.ts';
import type { Settings } from './settings.ts';

/** Beyond what a request may wait for by itself. */
const answerWithinMs = 150_000;

/** A refusal of the API, in its own words. */
export class ApiRefusal extends CliError {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail, exitCodeOf(problem));
    this.problem = problem;
  }
}

export type WatchEvent =
  | { readonly type: 'box'; readonly box: BoxView }
  | { readonly type: 'removed'; readonly user: string }
  | { readonly type: 'synced' };

export interface Client {
  boxes(signal: AbortSignal): Promise<BoxView[]>;
  box(user: string, signal: AbortSignal): Promise<BoxView>;
  events(user: string, limit: number, signal: AbortSignal): Promise<BoxEventView[]>;
  /** null = all boxes. Ends when the server ends it. */
  watch(user: string | null, signal: AbortSignal): AsyncGenerator<WatchEvent>;
  takeLease(user: string, id: string, body: LeaseBody, waitMs: number, signal: AbortSignal): Promise<LeaseReply>;
  releaseLease(user: string, id: string, signal: AbortSignal): Promise<boolean>;
  act(user: string, action: ActionBody, signal: AbortSignal): Promise<BoxView>;
  delete(user: string, signal: AbortSignal): Promise<BoxView>;
  terminalToken(user: string, body: object, signal: AbortSignal): Promise<TerminalTokenReply>;
}

/** The HTTP API as the CLI uses it. What it answers is checked; what it refuses is thrown as one line. */
export function createClient(settings: Settings): Client {
  async function send(method: string, path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(settings.server + path, {
        method,
        headers: {
          authorization: `Bearer ${settings.token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(settings.server, error);
    }
    if (!response.ok) throw await refusalOf(response, settings.server);
    return response;
  }

  async function ask<Schema extends z.ZodType>(
    schema: Schema,
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<z.output<Schema>> {
    const response = await send(method, path, body, AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]));
    const parsed = schema.safeParse(await response.json().catch(() => null));
    if (parsed.success) return parsed.data;
    throw new CliError(
      `${settings.server}${path} answered something else than agreed: do CLI and server fit together?`,
    );
  }

  return {
    async boxes(signal) {
      return (await ask(BoxList, 'GET', '/v1/boxes', undefined, signal)).items;
    },
    box: (user, signal) => ask(BoxView, 'GET', boxPath(user), undefined, signal),
    async events(user, limit, signal) {
      return (await ask(EventList, 'GET', `${boxPath(user)}/events?limit=${limit}`, undefined, signal)).items;
    },
    async *watch(user, signal) {
      const path = user === null ? '/v1/boxes' : boxPath(user);
      const response = await send('GET', `${path}?watch=1`, undefined, signal);
      if (!response.body) return;
      try {
        for await (const { event, data } of readEvents(response.body)) {
          const known = watchEventOf(event, JSON.parse(data));
          if (known) yield known;
        }
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof CliError) throw error;
        throw unreachable(settings.server, error);
      }
    },
    takeLease: (user, id, body, waitMs, signal) =>
      ask(LeaseReply, 'PUT', `${leasePath(user, id)}?waitMs=${waitMs}`, body, signal),
    async releaseLease(user, id, signal) {
      return (await ask(ReleaseReply, 'DELETE', leasePath(user, id), undefined, signal)).released;
    },
    act: (user, action, signal) => ask(BoxView, 'POST', `${boxPath(user)}/actions`, action, signal),
    delete: (user, signal) => ask(BoxView, 'DELETE', boxPath(user), undefined, signal),
    terminalToken: (user, body, signal) =>
      ask(TerminalTokenReply, 'POST', `${boxPath(user)}/terminal-tokens`, body, signal),
  };
}

/** `..` would be resolved away by the URL; the server could not refuse it by name. */
function boxPath(user: string): string {
  return `/v1/boxes/${part(user, 'user name')}`;
}

function leasePath(user: string, id: string): string {
  return `${boxPath(user)}/leases/${part(id, 'lease id')}`;
}

function part(text: string, what: string): string {
  if (text === '' || text === '.' || text === '..') throw new CliError(`"${text}" is no ${what}`, exitCodes.usage);
  return encodeURIComponent(text);
}

function watchEventOf(event: string, data: unknown): WatchEvent | null {
  switch (event) {
    case 'box':
      return { type: 'box', box: BoxView.parse(data) };
    case 'removed':
      return { type: 'removed', user: RemovedEvent.parse(data).user };
    case 'synced':
      return { type: 'synced' };
    case 'end': {
      const problem = Problem.parse(data);
      if (problem.code === 'shutting-down') return null;
      throw new ApiRefusal(problem);
    }
    default:
      return null; // of a newer server
  }
}

async function refusalOf(response: Response, server: string): Promise<CliError> {
  const parsed = Problem.safeParse(await response.json().catch(() => null));
  if (parsed.success) return new ApiRefusal(parsed.data);
  return new CliError(`${server} answered HTTP ${response.status} and is no Spoonbox API: check the address`);
}

function exitCodeOf({ status, code }: Problem): number {
  if (status === 401) return exitCodes.tokenRefused;
  if (code === 'redis-unavailable' || code === 'shutting-down') return exitCodes.notYet;
  return exitCodes.failed;
}

function unreachable(server: string, error: unknown): CliError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : String(cause);
  return new CliError(
    `${server} cannot be reached (${why}): is Spoonbox running? start it with \`npm start\`, or name another with --server`,
    exitCodes.unreachable,
  );
}
