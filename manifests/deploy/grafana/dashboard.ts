/**
 * The Grafana dashboard: its rows and panels, and the queries of each. `npm run generate` writes `spoonbox.json`, which Grafana
 * imports; it asks for the Prometheus data source.
 */

interface Panel {
  readonly title: string;
  /** what a reader should see in it, and what is wrong when it is not so */
  readonly reads: string;
  readonly unit: 'short' | 's' | 'ops' | 'bytes' | 'Bps' | 'percentunit';
  readonly kind?: 'stat' | 'timeseries';
  readonly queries: readonly { readonly expr: string; readonly legend: string }[];
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const every = '$__rate_interval';

function quantiles(of: string, by: readonly string[] = [], matchers = ''): Panel['queries'] {
  const grouped = ['le', ...by].join(', ');
  const labels = by.map((label) => ` {{${label}}}`).join('');
  return [0.5, 0.99].map((share) => ({
    expr: `histogram_quantile(${share}, sum by (${grouped}) (rate(${of}_bucket${matchers}[${every}])))`,
    legend: `p${share * 100}${labels}`,
  }));
}

function rates(of: string, by: string, matchers = ''): Panel['queries'] {
  return [{ expr: `sum by (${by}) (rate(${of}${matchers}[${every}]))`, legend: legendOf(by) }];
}

function legendOf(by: string): string {
  return by
    .split(', ')
    .map((label) => `{{${label}}}`)
    .join(' ');
}

const one = (expr: string, legend = ''): Panel['queries'] => [{ expr, legend }];
const ours = '{job=~"spoonbox.*"}';

export const rows: readonly Row[] = [
  {
    title: 'Now',
    panels: [
      {
        ...{ title: 'Leaders', reads: 'Exactly 1.', unit: 'short', kind: 'stat' },
        queries: one('sum(leader_election_master_status{name="spoonbox-controller"})'),
      },
      {
        ...{ title: 'Boxes ready', reads: 'Boxes that run.', unit: 'short', kind: 'stat' },
        queries: one('sum(spoonbox_boxes{phase="ready"})'),
      },
      {
        ...{ title: 'Boxes failed', reads: '0. `spoonbox describe box` says why.', unit: 'short', kind: 'stat' },
        queries: one('sum(spoonbox_boxes{phase="failed"})'),
      },
      {
        ...{ title: 'Terminals', reads: 'Open at all gateways.', unit: 'short', kind: 'stat' },
        queries: one('sum(spoonbox_gateway_sessions)'),
      },
      {
        ...{ title: 'Users waiting for a pass', reads: 'Near 0 between two resyncs.', unit: 'short', kind: 'stat' },
        queries: one('sum(workqueue_depth{name="boxes"})'),
      },
      {
        ...{ title: 'Drained, paused', reads: '0, or 1 while an operator holds the reconciler.', unit: 'short' },
        ...{ kind: 'stat', queries: one('max by (mode) (spoonbox_reconciler_mode{mode=~"drain|pause"})', '{{mode}}') },
      },
      {
        ...{ title: 'Amnesty', reads: '1 while Redis is not trusted and boxes are granted time.', unit: 'short' },
        ...{ kind: 'stat', queries: one('max(spoonbox_amnesty)') },
      },
    ],
  },
  {
    title: 'Boxes',
    panels: [
      {
        ...{ title: 'By phase', reads: 'As the last pass of each user concluded.', unit: 'short' },
        queries: one('sum by (phase) (spoonbox_boxes)', '{{phase}}'),
      },
      {
        ...{ title: 'From lease to readiness', reads: 'Below a second where the image is there.', unit: 's' },
        queries: quantiles('spoonbox_box_ready_seconds'),
      },
      {
        ...{ title: 'Reaps', reads: 'By why they were stopped and removed.', unit: 'ops' },
        queries: rates('spoonbox_reaps_total', 'cause'),
      },
      {
        ...{
          title: 'Reaps held back or refused',
          reads: 'Paced: too many at once. Refused: somebody came.',
          unit: 'ops',
        },
        queries: [
          ...rates('spoonbox_reaps_refused_total', 'why'),
          { expr: `sum(rate(spoonbox_reaps_paced_total[${every}]))`, legend: 'paced' },
        ],
      },
      {
        ...{ title: 'Amnesties', reads: 'Each is a Redis that lost something, or was away.', unit: 'short' },
        queries: one('sum by (cause) (increase(spoonbox_amnesties_total[1h]))', '{{cause}}'),
      },
      {
        ...{ title: 'What is done to boxes', reads: 'Commands of passes, by how they ended.', unit: 'ops' },
        queries: rates('spoonbox_commands_seconds_count', 'command, result'),
      },
    ],
  },
  {
    title: 'Reconcile loop',
    panels: [
      {
        ...{ title: 'Passes', reads: 'error: they threw.', unit: 'ops' },
        queries: rates('controller_runtime_reconcile_total', 'result', '{controller="boxes"}'),
      },
      {
        ...{ title: 'How long a pass takes', reads: 'Milliseconds while nothing is to be done.', unit: 's' },
        queries: quantiles('controller_runtime_reconcile_time_seconds', [], '{controller="boxes"}'),
      },
      {
        ...{ title: 'How long users wait for a pass', reads: 'Grows where workers are too few or slow.', unit: 's' },
        queries: quantiles('workqueue_queue_duration_seconds', [], '{name="boxes"}'),
      },
      {
        ...{ title: 'Workers', reads: 'Busy, and how many there are.', unit: 'short' },
        queries: [
          { expr: 'sum(controller_runtime_active_workers{controller="boxes"})', legend: 'busy' },
          { expr: 'max(controller_runtime_max_concurrent_reconciles{controller="boxes"})', legend: 'at most' },
        ],
      },
      {
        ...{ title: 'Unfinished work', reads: 'A line that only rises is a pass that is stuck.', unit: 's' },
        queries: [
          { expr: 'sum(workqueue_unfinished_work_seconds{name="boxes"})', legend: 'all' },
          { expr: 'max(workqueue_longest_running_processor_seconds{name="boxes"})', legend: 'longest' },
        ],
      },
      {
        ...{ title: 'A look at everything', reads: 'One list of containers, and the users of Redis.', unit: 's' },
        queries: quantiles('spoonbox_resync_seconds'),
      },
    ],
  },
  {
    title: 'Container engine',
    panels: [
      {
        ...{ title: 'Calls', reads: 'By what they are for.', unit: 'ops' },
        queries: rates('spoonbox_engine_calls_seconds_count', 'call'),
      },
      {
        ...{ title: 'Calls that do not succeed', reads: 'not-found and conflict only mean: look again.', unit: 'ops' },
        queries: rates('spoonbox_engine_calls_seconds_count', 'call, result', '{result!="ok"}'),
      },
      {
        ...{
          title: 'How long a call takes',
          reads: 'A pull is counted until it begins, a stop as a whole.',
          unit: 's',
        },
        queries: quantiles('spoonbox_engine_calls_seconds', ['call']),
      },
    ],
  },
  {
    title: 'Terminals and commands',
    panels: [
      {
        ...{ title: 'Open', reads: 'Of all gateways.', unit: 'short' },
        queries: [
          { expr: 'sum(spoonbox_gateway_sessions)', legend: 'terminals' },
          { expr: 'sum(spoonbox_gateway_sockets)', legend: 'sockets at terminals' },
          { expr: 'sum(spoonbox_gateway_jobs)', legend: 'commands' },
        ],
      },
      {
        ...{ title: 'Who asks', reads: 'admitted, or the code that refused it.', unit: 'ops' },
        queries: rates('spoonbox_gateway_admissions_total', 'kind, result'),
      },
      {
        ...{ title: 'Echo', reads: 'From a key to the next output; passwords wait long.', unit: 's' },
        queries: quantiles('spoonbox_gateway_echo_seconds'),
      },
      {
        ...{ title: 'Starts of shells and commands', reads: 'Of boxes that are ready.', unit: 's' },
        queries: quantiles('spoonbox_gateway_exec_start_seconds', ['kind']),
      },
      {
        ...{ title: 'Bytes', reads: 'What shells said and were told.', unit: 'Bps' },
        queries: [
          { expr: `sum(rate(spoonbox_gateway_output_bytes_total[${every}]))`, legend: 'output' },
          { expr: `sum(rate(spoonbox_gateway_input_bytes_total[${every}]))`, legend: 'input' },
        ],
      },
      {
        ...{
          title: 'Slow viewers',
          reads: 'Held: nobody takes the output. Behind: got a screen instead.',
          unit: 'short',
        },
        queries: [
          { expr: 'sum(spoonbox_gateway_paused_streams)', legend: 'shells held' },
          { expr: `sum(increase(spoonbox_gateway_viewers_behind_total[${every}]))`, legend: 'behind' },
          { expr: `sum by (why) (increase(spoonbox_gateway_viewers_dropped_total[${every}]))`, legend: 'cut: {{why}}' },
        ],
      },
      {
        ...{ title: 'Output that is kept', reads: 'For whoever comes back.', unit: 'bytes' },
        queries: one('sum(spoonbox_gateway_ring_bytes)'),
      },
    ],
  },
  {
    title: 'API and processes',
    panels: [
      {
        ...{ title: 'Answers', reads: '5xx are failures of ours.', unit: 'ops' },
        queries: rates('spoonbox_http_requests_total', 'code'),
      },
      {
        ...{ title: 'How long answers take', reads: 'A lease with waitMs takes as long as it waits.', unit: 's' },
        queries: quantiles('spoonbox_http_request_seconds', ['route']),
      },
      { title: 'Watches', reads: 'Open ones.', unit: 'short', queries: one('sum(spoonbox_watches)') },
      {
        ...{ title: 'Processors', reads: 'Of each process; 1 is one whole.', unit: 'short' },
        queries: one(`rate(process_cpu_seconds_total${ours}[${every}])`, '{{job}} {{instance}}'),
      },
      {
        ...{ title: 'Memory', reads: 'Of each process.', unit: 'bytes' },
        queries: one(`process_resident_memory_bytes${ours}`, '{{job}} {{instance}}'),
      },
      {
        ...{ title: 'Event loop', reads: 'How late it is, at p99.', unit: 's' },
        queries: one(`nodejs_eventloop_lag_p99_seconds${ours}`, '{{job}} {{instance}}'),
      },
    ],
  },
];

const columns = 24;
const statWidth = 3;
const statHeight = 4;
const panelWidth = 8;
const panelHeight = 8;
const datasource = { type: 'prometheus', uid: '$datasource' };

/** The dashboard as Grafana imports it. */
export function grafanaDashboard(): unknown {
  const panels: unknown[] = [];
  let y = 0;
  for (const row of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: row.title,
      collapsed: false,
      panels: [],
      gridPos: at(0, y, columns, 1),
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const panel of row.panels) {
      const isStat = panel.kind === 'stat';
      const [width, panelTall] = isStat ? [statWidth, statHeight] : [panelWidth, panelHeight];
      if (x + width > columns) {
        x = 0;
        y += height;
      }
      height = panelTall;
      panels.push(panelOf(panel, panels.length + 1, at(x, y, width, height)));
      x += width;
    }
    y += height;
  }
  return {
    uid: 'spoonbox',
    title: 'Spoonbox',
    tags: ['spoonbox'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: { list: [{ name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' }] },
    panels,
  };
}

function panelOf({ title, reads, unit, kind = 'timeseries', queries }: Panel, id: number, gridPos: object): unknown {
  return {
    ...{ id, type: kind, title, description: reads, datasource, gridPos },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    options:
      kind === 'stat' ? { reduceOptions: { calcs: ['lastNotNull'] } } : { tooltip: { mode: 'multi', sort: 'desc' } },
    targets: queries.map(({ expr, legend }, index) => ({
      ...{ refId: String.fromCharCode(65 + index), datasource, expr, legendFormat: legend },
    })),
  };
}

function at(x: number, y: number, w: number, h: number): object {
  return { x, y, w, h };
}
