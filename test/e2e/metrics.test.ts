import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { grafanaDashboard } from '../../manifests/deploy/grafana/dashboard.ts';
import { metricRows } from '../../manifests/docs/metrics.ts';
import { connect } from '../gateway/test-client.ts';
import { runCli } from '../cli/cli-run.ts';
import { apiToken, type ControllerProcess } from '../support/controller-process.ts';
import { type Exposition, readExposition, sampleOf } from '../support/exposition.ts';
import { problemsOf } from '../support/promql.ts';
import { openShell } from '../support/terminal-client.ts';
import { absent, createInstallation, type Installation, lease, reach, until } from './installation.ts';

/** What a real controller and a real gateway count when something has happened, and whether our dashboard and alerts ask for it. */

const Rules = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({
          alert: z.string(),
          expr: z.string(),
          annotations: z.object({ summary: z.string().min(20), what_to_do: z.string().min(20) }),
        }),
      ),
    }),
  ),
});
const Dashboard = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) })),
});

let installation: Installation;
let controller: ControllerProcess;
const pages = { controller: '', gateway: '' };
let exposition: Exposition;
let user: string;

async function page(url: string, token?: string): Promise<Response> {
  return await fetch(`${url}/metrics`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
}

async function read(): Promise<void> {
  pages.controller = await (await page(controller.url, apiToken)).text();
  pages.gateway = await (await page(`http://127.0.0.1:${installation.gatewayPort}`)).text();
  exposition = readExposition(pages.controller, pages.gateway);
}

beforeAll(async () => {
  installation = await createInstallation();
  await installation.gateway();
  controller = await installation.controller();
  // A terminal is opened, used and left; a command is run; a stranger is refused; a box is held, and reaped by an operator.
  const alice = installation.newUser('metrics');
  user = alice;
  const shell = await openShell(controller, alice);
  await shell.run('echo said');
  await shell.detach();
  expect(await runCli(['exec', alice, '--', 'true'], reach(controller))).toMatchObject({ code: 0 });
  await connect({ port: installation.gatewayPort, token: 'none' });
  await lease(controller, alice);
  await controller.ask('POST', `/v1/boxes/${alice}/actions`, { action: 'reap' });
  await absent(controller, alice);
  await controller.ask('GET', '/v1/nothing');
  await until('the reap is counted', async () => {
    await read();
    return sampleOf(pages.controller, 'spoonbox_reaps_total{cause="reap"}') > 0;
  });
});
afterAll(async () => await installation?.[Symbol.asyncDispose]());

test('the controller shows its metrics to who has a token, and to nobody else', async () => {
  expect((await page(controller.url)).status).toBe(401);
  const answer = await page(controller.url, apiToken);
  expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4');
});

test('what happened was counted', () => {
  const ofController = (sample: string): number => sampleOf(pages.controller, sample);
  const ofGateway = (sample: string): number => sampleOf(pages.gateway, sample);
  expect(ofController('leader_election_master_status{name="spoonbox-controller"}')).toBe(1);
  expect(ofController('spoonbox_reconciler_mode{mode="run"}')).toBe(1);
  expect(ofController('spoonbox_boxes{phase="absent"}')).toBe(1);
  expect(ofController('spoonbox_boxes{phase="ready"}')).toBe(0);
  expect(ofController('spoonbox_box_ready_seconds_count')).toBe(1);
  expect(ofController('spoonbox_reaps_total{cause="reap"}')).toBe(1);
  expect(ofController('spoonbox_commands_seconds_count{command="create",result="ok"}')).toBe(1);
  expect(ofController('spoonbox_commands_seconds_count{command="stop",result="ok"}')).toBe(1);
  expect(ofController('spoonbox_engine_calls_seconds_count{call="start",result="ok"}')).toBe(1);
  expect(ofController('controller_runtime_reconcile_total{controller="boxes",result="success"}')).toBeGreaterThan(0);
  expect(ofController('workqueue_depth{name="boxes"}')).toBe(0);
  expect(ofController('spoonbox_amnesties_total{cause="Redis is new or was emptied"}')).toBe(1);
  expect(ofController('spoonbox_http_requests_total{method="GET",route="none",code="404"}')).toBe(1);
  expect(ofGateway('spoonbox_gateway_admissions_total{kind="terminal",result="admitted"}')).toBe(1);
  expect(ofGateway('spoonbox_gateway_admissions_total{kind="command",result="admitted"}')).toBe(1);
  expect(ofGateway('spoonbox_gateway_admissions_total{kind="terminal",result="token-malformed"}')).toBe(1);
  expect(ofGateway('spoonbox_gateway_exec_start_seconds_count{kind="terminal",result="ok"}')).toBe(1);
  expect(ofGateway('spoonbox_gateway_exec_start_seconds_count{kind="command",result="ok"}')).toBe(1);
  expect(ofGateway('spoonbox_gateway_output_bytes_total')).toBeGreaterThan('said'.length);
  expect(ofGateway('spoonbox_gateway_input_bytes_total')).toBeGreaterThan('echo said'.length);
  expect(ofGateway('spoonbox_gateway_echo_seconds_count')).toBeGreaterThan(0);
  expect(ofGateway('spoonbox_gateway_paused_streams')).toBe(0);
});

test('no label tells who the users are', () => {
  expect(`${pages.controller}${pages.gateway}`).not.toContain(user);
});

test('every metric of the documents is there, and every one of ours is in the documents', () => {
  const { controller: ours, gateway: theirs } = metricRows();
  for (const [rows, text] of [
    [ours, pages.controller],
    [theirs, pages.gateway],
  ] as const) {
    const typed = [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name = '', type]) => `${name} ${type}`);
    const own = typed.filter((name) => !/^(process|nodejs)_/.test(name));
    expect(own.toSorted()).toEqual(rows.map(({ name, type }) => `${name} ${type}`).toSorted());
  }
});

describe('what is asked', async () => {
  const rules = Rules.parse(
    parse(await readFile(new URL('../../manifests/deploy/prometheus/alerts.yaml', import.meta.url), 'utf8')),
  ).groups.flatMap((group) => group.rules);
  const queries = Dashboard.parse(grafanaDashboard()).panels.flatMap(({ title, targets }) =>
    // Grafana puts a duration in its place.
    targets.map(({ expr }) => ({ title, expr: expr.replaceAll('$__rate_interval', '5m') })),
  );

  test.each(rules)('of alerts, $alert is of metrics that there are', ({ expr }) => {
    expect(problemsOf(expr, exposition)).toEqual([]);
  });

  test.each(queries)('of the dashboard, $title is of metrics that there are: $expr', ({ expr }) => {
    expect(problemsOf(expr, exposition)).toEqual([]);
  });

  test('no two alerts have one name', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });
});
