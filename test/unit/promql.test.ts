import { expect, test } from 'vitest';
import { readExposition } from '../support/exposition.ts';
import { problemsOf } from '../support/promql.ts';

/** What the check of our queries can see at all. */

const exposition = readExposition(`# TYPE up_total counter
up_total{kind="a",path="x\\"y"} 1
# TYPE depth gauge
depth{name="boxes"} 3
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1",kind="a"} 1
took_seconds_bucket{le="+Inf",kind="a"} 1
took_seconds_sum{kind="a"} 0.05
took_seconds_count{kind="a"} 1
`);

test.each([
  'sum by (kind) (rate(up_total[5m]))',
  'depth{name="boxes"} > 0 or absent(depth)',
  'min_over_time(depth[10m])',
  'histogram_quantile(0.9, sum by (le, kind) (rate(took_seconds_bucket[5m])))',
  'rate(took_seconds_sum[5m]) / rate(took_seconds_count[5m])',
  'rate(up_total{job=~"spoon.*"}[5m])',
])('%s is well', (query) => {
  expect(problemsOf(query, exposition)).toEqual([]);
});

test.each([
  ['sum(rate(up_total[5m])', 'cannot be read'],
  ['depths', 'there is no series depths'],
  ['rate(up_total{sort="a"}[5m])', 'has no label sort'],
  ['depth{name="box"}', 'never has name="box"'],
  ['sum by (sort) (depth)', 'has the label sort'],
  ['sum(up_total)', 'ask for its rate'],
  ['rate(depth[5m])', 'is a gauge'],
  ['sum(rate(took_seconds_bucket[5m]))', 'are buckets'],
  ['took_seconds', 'there is no series took_seconds'],
  ['histogram_quantile(0.9, sum by (kind) (rate(took_seconds_bucket[5m])))', 'without le'],
  ['histogram_quantile(0.9, sum by (kind) (depth))', 'is of buckets'],
])('%s is not: %s', (query, problem) => {
  expect(problemsOf(query, exposition).join('; ')).toContain(problem);
});
