import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { z } from 'zod';
import { type Problem, type ProblemCode, problemOf } from '#shared/problem.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly lastEventId: string | null;
  readonly ifMatch: string | null;
}

export interface FakeApi extends AsyncDisposable {
  readonly url: string;
  /** what was asked so far, with its query */
  readonly asked: readonly Asked[];
  /** Answers that route from now on, with what its schema lets pass and nothing else. */
  answer<Schema extends z.ZodType>(route: string, schema: Schema, value: z.input<Schema>): void;
  /** Refuses that route from now on. */
  refuse(route: string, code: ProblemCode, detail: string): void;
  /** A stream of server-sent events that ends after these. The next time, the next entry; after the last one, silence. */
  stream(route: string, ...times: readonly string[][]): void;
  /** The next so many requests get no answer: their connections are cut, as where a server ends. */
  cut(times: number): void;
}

/** An API that says what a test tells it to: for commands whose answers are not easily brought about. */
export async function startFakeApi(): Promise<FakeApi> {
  const answers = new Map<string, string>();
  const refusals = new Map<string, Problem>();
  const streams = new Map<string, string[][]>();
  const asked: Asked[] = [];
  let cuts = 0;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const body = await text(request);
    const lastEventId = request.headers['last-event-id'];
    asked.push({
      method,
      path: url,
      body: body === '' ? null : JSON.parse(body),
      lastEventId: typeof lastEventId === 'string' ? lastEventId : null,
      ifMatch: request.headers['if-match'] ?? null,
    });
    if (cuts > 0) {
      cuts -= 1;
      request.socket.destroy();
      return;
    }
    const route = `${method} ${url.split('?')[0]}`;
    const times = streams.get(route);
    if (times && url.includes('watch=1')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const next = times.shift();
      for (const event of next ?? []) response.write(event);
      if (next) response.end();
      return;
    }
    const problem = refusals.get(route) ?? problemOf('route-unknown', `no ${route} here`);
    const answer = refusals.has(route) ? undefined : answers.get(route);
    response.writeHead(answer === undefined ? problem.status : 200, { 'content-type': 'application/json' });
    response.end(answer ?? JSON.stringify(problem));
  }

  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${portOf(server.address())}`,
    asked,
    answer(route, schema, value) {
      answers.set(route, JSON.stringify(schema.parse(value)));
    },
    refuse(route, code, detail) {
      refusals.set(route, problemOf(code, detail));
    },
    stream(route, ...times) {
      streams.set(route, [...times]);
    },
    cut(times) {
      cuts = times;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the fake API has no port');
  return address.port;
}
