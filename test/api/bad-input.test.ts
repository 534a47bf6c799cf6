import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { Problem, problemMediaType } from '#shared/problem.ts';
import { type ApiWorld, createApiWorld, token } from './api-world.ts';
import { pathOf, table } from './route-table.ts';

/**
 * Every route there is, with what is wrong for it: read off the routes and the document of the API itself, so that a new route and a
 * new field are tried without a line here. Who may ask what is in `access.test.ts`.
 */

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer | string;
}
interface Told {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

const Schema = z.looseObject({
  $ref: z.string().optional(),
  properties: z.record(z.string(), z.unknown()).default({}),
  get oneOf() {
    return z.array(Schema).default([]);
  },
});
type Schema = z.infer<typeof Schema>;
const Document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
  components: z.looseObject({ schemas: z.record(z.string(), Schema) }),
});
type Document = z.infer<typeof Document>;
const Operation = z.looseObject({
  parameters: z.array(z.looseObject({ name: z.string(), in: z.string() })).default([]),
  requestBody: z.looseObject({ content: z.record(z.string(), z.looseObject({ schema: Schema })) }).optional(),
});

interface Route {
  readonly method: string;
  readonly url: string;
  /** as it is asked when all is well */
  readonly path: string;
  readonly body: unknown;
  readonly query: readonly string[];
  /** null = it takes no body */
  readonly fields: readonly string[] | null;
}

let world: ApiWorld;
let routes: readonly Route[];
beforeAll(async () => {
  world = await createApiWorld();
  routes = routesOf(world);
});
afterAll(() => world.close());

function routesOf({ api }: ApiWorld): Route[] {
  const document = Document.parse(api.openApi());
  return api.routes.map(({ method, url }) => {
    const inDocument = document.paths[url.replaceAll(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()];
    const { parameters, requestBody } = Operation.parse(inDocument ?? {});
    const schema = requestBody?.content['application/json']?.schema;
    const entry = table[`${method} ${url}`];
    return {
      ...{ method, url, path: entry?.path ?? pathOf(url), body: entry?.body },
      query: parameters.filter((one) => one.in === 'query').map(({ name }) => name),
      fields: schema === undefined ? null : fieldsOf(schema, document),
    };
  });
}

function fieldsOf({ $ref, properties, oneOf }: Schema, document: Document): string[] {
  const referred = $ref === undefined ? undefined : document.components.schemas[$ref.split('/').at(-1) ?? ''];
  const others = [...(referred ? [referred] : []), ...oneOf].flatMap((other) => fieldsOf(other, document));
  return [...new Set([...Object.keys(properties), ...others])];
}

async function ask({ method, path, headers = {}, body }: Asked): Promise<Told> {
  const { hostname, port } = new URL(world.url);
  return await new Promise((resolve, reject) => {
    const sent = request(
      {
        hostname,
        port,
        method,
        path,
        agent: false,
        headers: { authorization: `Bearer ${token}`, ...lengthOf(body), ...headers },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', text }),
        );
      },
    );
    // Of a body that is refused amid the sending, the answer still comes.
    sent.on(
      'error',
      (error: NodeJS.ErrnoException) =>
        error.code === 'EPIPE' || reject(new Error(`${method} ${path} ${body}: ${error}`)),
    );
    sent.end(body);
  });
}

function lengthOf(body: Buffer | string | undefined): Record<string, string> {
  return body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
}

/** Refused, by a problem with a code, and with nothing of the inside. False: it was taken, as it may be. */
async function expectRefused(asked: Asked, may: 'be taken' | 'not be taken' = 'not be taken'): Promise<boolean> {
  const { status, type, text } = await ask(asked);
  const what = `${asked.method} ${asked.path.slice(0, 120)} ${String(asked.body ?? '').slice(0, 80)} => ${status} ${text.slice(0, 200)}`;
  expect(status, what).toBeLessThan(500);
  expect(text, what).not.toMatch(/\.ts:\d|node:internal|\bat .+\(/);
  if (may === 'be taken' && status < 400) return false;
  expect(status, what).toBeGreaterThanOrEqual(400);
  if (asked.method === 'HEAD') return true;
  expect(type, what).toContain(problemMediaType);
  expect(Problem.parse(JSON.parse(text)).status, what).toBe(status);
  return true;
}

const json = { 'content-type': 'application/json' };
const writing = (): Route[] => routes.filter(({ fields }) => fields !== null);

test('the routes and their fields are found', () => {
  expect(routes.length).toBeGreaterThan(50);
  expect(writing().length).toBeGreaterThan(12);
  expect(
    writing()
      .filter(({ fields }) => fields?.length === 0)
      .map(({ url }) => url),
  ).toEqual([]);
});

test('a method that a path does not have', async () => {
  for (const url of new Set(routes.map((route) => route.url))) {
    const has = routes.filter((route) => route.url === url).map(({ method }) => method);
    const others = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
    for (const method of others.filter((other) => !has.includes(other))) {
      await expectRefused({ method, path: pathOf(url), headers: { 'content-length': '0' } });
    }
  }
});

test('a part of the path that is no name', async () => {
  const wrong = ['%00', '%zz', '%ff', '%E2%80%AE', '..%2f..%2fetc', '%20', `${'a'.repeat(2_000)}`, '%3Cscript%3E'];
  for (const { method, url, fields } of routes) {
    for (const [, name = ''] of url.matchAll(/:(\w+)/g)) {
      for (const part of wrong) {
        const body = fields === null ? {} : { headers: json, body: '{}' };
        await expectRefused({ method, path: pathOf(url, { [name]: part }), ...body });
      }
    }
  }
});

test('a question that the route does not know, and values that are none', async () => {
  for (const { method, path, query, fields } of routes.filter((route) => route.url.startsWith('/v1/'))) {
    const body = fields === null ? {} : { headers: json, body: '{}' };
    await expectRefused({ method, path: `${path}?no-such-thing=1`, ...body });
    for (const name of query) {
      for (const value of ['%00', '', '-1', '1e99', '%7B%7D', 'x'.repeat(5_000), `1&${name}=2`, '%zz']) {
        // A selector or a `continue` may be any text.
        await expectRefused({ method, path: `${path}?${name}=${value}`, ...body }, 'be taken');
      }
    }
  }
});

test('a body of another type, encoding, size or shape', async () => {
  const bodies: [headers: Record<string, string>, body: Buffer | string][] = [
    ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/xml', 'x'].map(
      (type): [Record<string, string>, string] => [{ 'content-type': type }, '{}'],
    ),
    [{ ...json, 'content-encoding': 'gzip' }, gzipSync('{}')],
    [json, Buffer.from('{"a":"\ud800"}', 'utf16le')],
    [json, Buffer.from([0xff, 0xfe, 0x7b, 0x7d])],
    [json, ''],
    [json, '{'],
    [json, `${'['.repeat(20_000)}`],
    ...['null', '[]', '"text"', '1', 'true'].map((body): [Record<string, string>, string] => [json, body]),
    [json, '{"__proto__":{"x":1}}'],
    [json, '{"no-such-field":1}'],
  ];
  for (const { method, path } of writing()) {
    for (const [headers, body] of bodies) await expectRefused({ method, path, headers, body });
    await expectRefused({ method, path, headers: json, body: `{"a":"${'x'.repeat(9 * 1024 * 1024)}"}` });
  }
});

test('each field with values of other types', async () => {
  const wrong: unknown[] = [null, true, -1, 1.5, 1e300, '', '\u0000', 'x'.repeat(20_000), [], [[]], { a: { b: 1 } }];
  for (const { method, path, body, fields } of writing()) {
    const good = z.record(z.string(), z.unknown()).parse(body);
    for (const field of fields ?? []) {
      const bodies = wrong.map((value) => JSON.stringify({ ...good, [field]: value }));
      const refused = await Promise.all(
        bodies.map((each) => expectRefused({ method, path, headers: json, body: each }, 'be taken')),
      );
      // Whatever it is, it is not most of these.
      expect(refused.filter(Boolean).length, `${method} ${path} ${field}`).toBeGreaterThan(wrong.length / 2);
    }
  }
});

test('a body where none is taken', async () => {
  for (const { method, path } of routes.filter((route) => route.fields === null && route.method !== 'GET')) {
    await expectRefused({ method, path, headers: json, body: '{' });
    await expectRefused({ method, path, headers: { 'content-type': 'text/plain' }, body: 'x' });
    await expectRefused({ method, path, headers: json, body: JSON.stringify('x'.repeat(70_000)) });
  }
});
