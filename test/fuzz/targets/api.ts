import { noLimits } from '#shared/config.ts';
import { Agent, type IncomingMessage, request } from 'node:http';
import fc from 'fast-check';
import { createVaultKeys } from '#shared/vault-seal.ts';
import { createVaultStore } from '#shared/vault-store.ts';
import { createBoxStore } from '#shared/box-store.ts';
import { systemClock } from '#shared/clock.ts';
import { InstallationId, keysOf } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { Problem, problemMediaType } from '#shared/problem.ts';
import { createApi } from '../../../controller/src/api/api.ts';
import { testClasses } from '../../api/api-world.ts';
import { table } from '../../api/route-table.ts';
import { createLeaderStore } from '../../../controller/src/store/leader-store.ts';
import { onlookingParts } from '../../support/onlooking-parts.ts';
import { createSimRuntime } from '../../support/sim-runtime.ts';
import { simPort } from '../sim-port.ts';
import { exchange, noneLeft, openSockets } from '../sockets.ts';
import { must, target } from '../target.ts';
import { cuts, hostileWord, junk, mutated, mutatedText, oddNumber, pieces, text } from '../values.ts';

const token = 'a-token-of-the-fuzzer-0123456789';
const secret = 'a-secret-of-the-fuzzer-0123456789';
/** A watch, or a request that waits for its box, is left after this long, as clients do. */
const patienceMs = 30;

/** Where the page is may be none built, which is a 503. */
const urls = [...new Set(Object.keys(table).map((route) => route.replace(/^\S+ /, '')))].filter(
  (url) => url !== '/' && !url.startsWith('/console'),
);
/** The root leads to the page. */
const withoutToken = new Set([302, 400, 401, 403, 404, 413, 414, 415, 429, 431]);

const part = fc
  .oneof({ weight: 4, arbitrary: fc.constantFrom('ann', 'Ann', 'bob', 'j1') }, hostileWord, text)
  .map((word) => encodeURIComponent(word.toWellFormed()));
const path = fc.oneof(
  fc.tuple(fc.constantFrom(...urls), part, part).map(([url, ...parts]) => {
    let at = 0;
    return url.replaceAll(/:\w+|\*/g, () => parts[at++ % parts.length] ?? '');
  }),
  text.map((word) => `/${encodeURI(word.toWellFormed())}`),
  fc.constantFrom(
    '/%',
    '/v1/boxes/%zz',
    '//',
    '/v1//boxes',
    '/v1/boxes/../classes',
    '*',
    `/v1/boxes/${'a'.repeat(5_000)}`,
  ),
);
const query = fc.oneof(
  fc.constant(''),
  fc.constantFrom(
    '?watch=1',
    '?watch=0',
    '?limit=5',
    '?limit=-1',
    '?waitMs=1e9',
    '?waitMs=10',
    '?waitMs=120000',
    '?limit=2&selector=phase%3Dready,held!%3Dtrue',
    '?selector=__proto__%3Dx',
    '?selector=a&continue=b',
    '?continue=YWZ0ZXIgYW5u',
    '?watch=1&limit=3',
    '?watch=1&selector=user%3Dann',
    '?a=1&a=2',
    '?__proto__=1',
    '?%',
  ),
  fc
    .tuple(fc.constantFrom('watch', 'limit', 'waitMs', 'selector', 'continue', 'x'), text)
    .map(([name, value]) => `?${name}=${encodeURIComponent(value.toWellFormed())}`),
);
const lease = { kind: 'job', holder: 'agent', ttlMs: 60_000, class: 'default' };
const value = fc.oneof(
  fc.constantFrom<unknown>(lease, { name: 'ci', role: 'admin' }, { action: 'reap' }, { action: 'recreate' }, {}),
  fc.constantFrom<unknown>({ mode: 'drain', reason: 'disk' }, { mode: 'run' }),
  mutated(
    lease,
    { ttlMs: 60_000 },
    { action: 'adopt', containerId: 'a'.repeat(64), now: true },
    { mode: 'ro', directory: 'a/b', session: 's', ttlMs: 5_000 },
    { name: 'ci', role: 'jobs', ttlMs: 60_000 },
    { code: 'A'.repeat(43) },
  ),
  oddNumber.map((ttlMs) => ({ ...lease, ttlMs })),
  junk,
);
const body = fc.oneof(
  { weight: 4, arbitrary: value.map((json) => Buffer.from(JSON.stringify(json))) },
  text.map((word) => Buffer.from(word)),
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(70_000, 64 * 1024).map((size) => Buffer.from(`{"a":"${'x'.repeat(size)}"}`)),
  fc.constantFrom('{"__proto__":{"x":1}}', '['.repeat(5_000), '{"kind":', '\ufeff{}').map((odd) => Buffer.from(odd)),
);
const type = fc.constantFrom(
  'application/json',
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'x',
  'application/json;',
);
const header = text.map((word) => word.replaceAll(/[^\t\x20-\x7e]/g, '?'));
const oneOfOurs = `sbx_${'a'.repeat(12)}_${'A'.repeat(43)}`;
const authorization = fc.oneof(
  { weight: 6, arbitrary: fc.constant(`Bearer ${token}`) },
  header,
  fc.constantFrom(
    '',
    'Bearer',
    'Basic eDp4',
    `Bearer ${oneOfOurs}`,
    `Bearer ${oneOfOurs}x`,
    `bearer  ${token} `,
    `Bearer ${'x'.repeat(5_000)}`,
  ),
);

const cookie = fc.oneof(
  { weight: 4, arbitrary: fc.constant('') },
  header.map((word) => `spoonbox_session=${word}`),
  fc.constantFrom(
    `spoonbox_session=${'A'.repeat(43)}`,
    'spoonbox_session',
    'spoonbox_session=%zz; =; ;',
    `a=${'x'.repeat(5_000)}`,
  ),
);
const origin = fc.oneof(
  { weight: 4, arbitrary: fc.constant('') },
  header,
  fc.constantFrom('null', 'https://evil.example', 'http://[', 'http://127.0.0.1'),
);

/** Conditions, and where a watch goes on: one of these with each request. */
const condition = fc.tuple(
  fc.constantFrom('if-match', 'if-none-match', 'last-event-id'),
  fc.oneof(
    header,
    fc.constantFrom('*', '"1"', '"1.x", W/"2"', '"', '1-1', '0-0', '99999999999999999999-1', '00000000-1'),
  ),
);

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function openApi() {
  const before = openSockets();
  const logged: string[] = [];
  const destination = { write: (line: string) => void logged.push(line) };
  const log = createLogger({ name: 'fuzz', level: 'warn', destination });
  const policies = { '*': [1_800_000, 28_800_000] } as const;
  const installation = InstallationId.parse('fuzz');
  const [redis, keys] = [simPort(), keysOf(installation)];
  const store = createBoxStore({
    redis,
    keys,
    policies,
    defaultClass: 'default',
  });
  const addresses = { publicWsUrl: null, gatewayPort: 3921, publicUrl: 'http://127.0.0.1:3922' };
  const config = {
    internalToken: token,
    terminalSecret: secret,
    ...addresses,
    apiRequestsPerS: 1_000_000,
    trustedProxies: [],
    limits: noLimits,
  };
  const health = { ready: () => ({ ok: true, reasons: [] }), leader: () => ({}) };
  const looking = onlookingParts({
    ...{ store, leaderStore: createLeaderStore(redis, keys), classes: testClasses, installation },
    runtime: createSimRuntime({ installation, clock: systemClock }),
  });
  const api = createApi({
    ...{ store, redis, keys, classes: testClasses, config, health, log, clock: systemClock },
    ...looking,
    vault: createVaultStore({ redis, keys, seal: createVaultKeys({ current: secret, previous: [] }) }),
  });
  const port = Number(new URL(await api.listen('127.0.0.1', 0)).port);
  return {
    port,
    async close() {
      await api.close();
      must(logged.length === 0, `no defect was met: ${logged[0]}`);
      await noneLeft(before);
    },
  };
}

export const requests = target(
  'requests to the API',
  20,
  fc.record({
    method: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'),
    path,
    query,
    body,
    type,
    authorization,
    cookie,
    origin,
    condition,
  }),
  async () => {
    const { port, close } = await openApi();
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    return {
      async close() {
        agent.destroy();
        await close();
      },
      async check(input) {
        const answer = await ask(port, agent, input);
        if (answer === null) return;
        const { status, type: answered, text: said } = answer;
        must(status < 500, `no failure of ours is answered: ${status} ${said}`);
        must(!said.includes(secret) && !said.includes(token), 'no secret');
        must(status < 400 || !/\.ts:\d|node:internal|\bat .+\(/.test(said), 'no stack');
        const isOpen = input.path === '/healthz' || input.path === '/readyz';
        must(
          isOpen || isToken(input.authorization) || withoutToken.has(status),
          `without the token nothing is done: ${status}`,
        );
        if (status < 400 || input.method === 'HEAD') return;
        must(answered.startsWith(problemMediaType), `a refusal is a problem, not ${answered}: ${said}`);
        const problem = Problem.parse(JSON.parse(said));
        must(problem.status === status && problem.detail.length > 0, 'a problem tells what was refused');
      },
    };
  },
);

const plain = [
  'PUT /v1/boxes/ann/leases/j1 HTTP/1.1',
  'Host: api',
  `Authorization: Bearer ${token}`,
  'Content-Type: application/json',
  'Content-Length: 45',
  '',
  JSON.stringify({ kind: 'job', holder: 'a', ttlMs: 60_000 }),
].join('\r\n');
const chunked = plain.replace('Content-Length: 45', 'Transfer-Encoding: chunked').replace('{"', '5\r\n{"');

export const rawRequests = target(
  'raw bytes on the API',
  4,
  fc.record({
    sent: fc.oneof(
      mutatedText(plain, chunked).map((one) => Buffer.from(one)),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom(20_000, 100_000)
        .map((size) => Buffer.from(plain.replace('Host: api', `Host: ${'x'.repeat(size)}`))),
    ),
    cuts,
  }),
  async () => {
    const { port, close } = await openApi();
    return {
      close,
      async check({ sent, cuts: at }) {
        const answer = (await exchange(port, pieces(sent, at))).toString('latin1');
        const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 400);
        must(status < 500 || status === 505, `no failure of ours is answered: ${answer.slice(0, 300)}`);
        must(!/\.ts:\d|node:internal/.test(answer), 'no stack');
      },
    };
  },
);

function isToken(authorizationHeader: string): boolean {
  return /^bearer +(\S+) *$/i.exec(authorizationHeader.trim())?.[1] === token;
}

/** Null where the client did not wait for the end of the answer, or the connection was cut. */
function ask(
  port: number,
  agent: Agent,
  input: {
    method: string;
    path: string;
    query: string;
    body: Buffer;
    type: string;
    authorization: string;
    cookie: string;
    origin: string;
    condition: readonly [name: string, value: string];
  },
): Promise<Answer | null> {
  return new Promise((resolve, reject) => {
    const hasBody = input.method !== 'GET' && input.method !== 'HEAD';
    const headers = {
      authorization: input.authorization,
      'x-spoonbox-csrf': '1',
      ...(input.cookie === '' ? {} : { cookie: input.cookie }),
      ...(input.origin === '' ? {} : { origin: input.origin }),
      [input.condition[0]]: input.condition[1],
      ...(hasBody ? { 'content-type': input.type, 'content-length': input.body.length } : {}),
    };
    const sent = request({
      port,
      host: '127.0.0.1',
      agent,
      method: input.method,
      path: input.path + input.query,
      headers,
    });
    const leave = (): void => {
      sent.destroy();
      resolve(null);
    };
    const waits = /waitMs|watch/.test(input.query);
    const timer = setTimeout(
      () => (waits ? leave() : reject(new Error('no answer within 5 s'))),
      waits ? patienceMs : 5_000,
    );
    sent.on('error', () => resolve(null)); // an answer may come, and the connection be cut, before all was sent
    sent.on('response', (response: IncomingMessage) => {
      let said = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        said += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', text: said }),
      );
      response.on('error', () => resolve(null));
    });
    sent.on('close', () => clearTimeout(timer));
    sent.end(hasBody ? input.body : undefined);
  });
}
