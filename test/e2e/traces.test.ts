import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { builtVariable } from '../support/built-programs.ts';
import { openTerminal } from '../support/terminal-client.ts';
import { type CollectedSpan, startTraceCollector, type TraceCollector } from '../support/trace-collector.ts';
import { apiToken } from '../support/controller-process.ts';
import { createInstallation, type Installation, until } from './installation.ts';

/** Traces over both processes, sent to a collector as an operator would have one. */

const hooks = new URL('../support/loaded-modules.ts', import.meta.url).href;
const traceId = 'a1b2c3d4e5f60718293a4b5c6d7e8f90';
const callerSpan = '0123456789abcdef';
const traceparent = `00-${traceId}-${callerSpan}-01`;

let installation: Installation;
let collector: TraceCollector;
beforeAll(async () => {
  // What is loaded is seen module by module.
  vi.stubEnv(builtVariable, '');
  collector = await startTraceCollector();
  installation = await createInstallation();
});
afterEach(async () => await installation.stopProcesses());
afterAll(async () => {
  vi.unstubAllEnvs();
  await installation?.[Symbol.asyncDispose]();
  await collector?.close();
});

function spansOf(trace: string): CollectedSpan[] {
  return collector.spans.filter((span) => span.traceId === trace);
}

/** Names from the span up to the caller's own, which is in no collector of ours. */
function wayUp(span: CollectedSpan): string[] {
  const parent = spansOf(span.traceId).find(({ spanId }) => spanId === span.parentSpanId);
  return [`${span.service}: ${span.name}`, ...(parent === undefined ? [span.parentSpanId] : wayUp(parent))];
}

test('a terminal that waits for its box is one trace over both processes, part of its caller’s', async () => {
  await installation.gateway({ SPOON_OTLP_URL: collector.url });
  const controller = await installation.controller({ SPOON_OTLP_URL: collector.url });
  const user = installation.newUser('traced');
  const shell = await openTerminal(controller, user, { traceparent });
  await shell.message('hello', 0);
  await shell.run('true');
  await shell.detach();

  const needed = ['attach terminal', 'take lease', 'engine create', 'engine start', 'engine probe', 'box ready'];
  const spans = await until('all spans have come', () => {
    const found = needed.map((name) => spansOf(traceId).find((span) => span.name === name));
    return found.every((span) => span !== undefined) && found;
  });
  const [attach, take, create, start, probe, ready] = spans.map((span) => span && wayUp(span));
  const asked = ['spoonbox-gateway: take lease', 'spoonbox-gateway: attach terminal', callerSpan];
  expect(attach).toEqual(asked.slice(1));
  expect(take).toEqual(asked);
  expect(create).toEqual(['spoonbox-controller: engine create', 'spoonbox-controller: pass', ...asked]);
  expect(start).toEqual(['spoonbox-controller: engine start', 'spoonbox-controller: pass', ...asked]);
  expect(probe).toEqual(['spoonbox-controller: engine probe', 'spoonbox-controller: pass', ...asked]);
  expect(ready).toEqual(['spoonbox-controller: box ready', ...asked]);
  expect(spansOf(traceId).filter(({ failed }) => failed)).toEqual([]);
});

test('a lease that is taken over HTTP is one trace too, and passes of a box that is ready are in none', async () => {
  const controller = await installation.controller({ SPOON_OTLP_URL: collector.url });
  const user = installation.newUser('leased');
  const trace = traceId.replace('a1', 'b2');
  const answer = await fetch(`${controller.url}/v1/boxes/${user}/leases/job?waitMs=30000`, {
    method: 'PUT',
    headers: {
      authorization: `Bearer ${apiToken}`,
      'content-type': 'application/json',
      traceparent: `00-${trace}-${callerSpan}-01`,
    },
    body: JSON.stringify({ kind: 'job', holder: 'test', ttlMs: 60_000 }),
  });
  expect(answer.status).toBe(200);
  const ready = await until('its box is ready', () => spansOf(trace).find(({ name }) => name === 'box ready') ?? null);
  const request = 'spoonbox-controller: PUT /v1/boxes/:user/leases/:id';
  await until('the request has ended', () => spansOf(trace).some(({ name }) => name.startsWith('PUT')));
  expect(wayUp(ready).slice(1)).toEqual(['spoonbox-controller: take lease', request, callerSpan]);
  const before = spansOf(trace).length;
  await controller.ask('POST', `/v1/boxes/${user}/leases/job/renew`, {});
  await installation.stopProcesses(); // the last spans are sent
  expect(spansOf(trace)).toHaveLength(before);
});

/** prom-client has the bare interfaces with it. */
const withoutTraces = new Set(['api']);
/** What packages bring along and nothing here uses: a start took a tenth longer. */
const unused = /\/node_modules\/(dockerode|@grpc|protobufjs|ajv)\//;

test.each([
  ['off', {}, []],
  ['on', { SPOON_OTLP_URL: 'http://127.0.0.1:9' }, ['exporter-trace-otlp-http', 'sdk-trace-base']],
] as const)('OpenTelemetry is loaded only where traces are asked for: %s', async (how, settings, loaded) => {
  const file = (name: string): string => join(installation.world.docker.workdir, `${name}-${how}.modules`);
  const seen = (name: string) => ({ NODE_OPTIONS: `--import=${hooks}`, LOADED_MODULES_FILE: file(name) });
  const gateway = await installation.gateway({ ...settings, ...seen('gateway') });
  const controller = await installation.controller({ ...settings, ...seen('controller') });
  const shell = await openTerminal(controller, installation.newUser('untraced'), { traceparent });
  await shell.message('hello', 0);
  await shell.detach();
  expect(await Promise.all([gateway.stop(), controller.stop()])).toEqual([0, 0]);
  for (const name of ['gateway', 'controller']) {
    const modules = await readFile(file(name), 'utf8');
    expect(modules).toContain('/prom-client/');
    expect(modules).not.toMatch(unused);
    const found = [...modules.matchAll(/@opentelemetry\/([\w-]+)\//g)].map(([, name = '']) => name);
    const ofSdk = new Set(found.filter((name) => !withoutTraces.has(name)));
    expect([...ofSdk]).toEqual(loaded.length === 0 ? [] : expect.arrayContaining([...loaded]));
  }
});
