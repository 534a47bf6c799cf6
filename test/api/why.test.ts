import { describe, expect, test } from 'vitest';
import { LeaseId, UserName } from '#shared/identity.ts';
import type { Lease } from '#shared/lease.ts';
import type { BoxRecord, BoxStatus } from '#shared/status.ts';
import { humanDuration, relativeTime, utcTime } from '#shared/human-time.ts';
import { whyOf } from '../../controller/src/api/why.ts';
import { rolloutsOn, runMode } from '../support/box-facts.ts';

const now = Date.parse('2026-11-23T12:00:00Z');
const minute = 60_000;
const idle = { detached: 30 * minute, attached: 480 * minute };

const lease = (kind: Lease['kind'], expiresAt: number, holder = 'agent-7'): Lease => ({
  id: LeaseId.parse('j1'),
  kind,
  holder,
  takenAt: now - minute,
  expiresAt,
  ttlMs: minute,
});

const status = (fields: Partial<BoxStatus>): BoxStatus => ({
  version: 1,
  phase: 'ready',
  containerId: 'c1',
  containerGeneration: 1,
  keepUntil: 0,
  keepCause: '',
  value: null,
  context: null,
  step: null,
  conditions: [],
  message: '',
  progress: null,
  observedGeneration: 1,
  lastReap: null,
  readyAt: null,
  ...fields,
});

const record = (fields: Partial<BoxRecord>): BoxRecord => ({
  mode: runMode,
  rollout: rolloutsOn,
  user: UserName.parse('ann'),
  now,
  desired: {
    class: 'default',
    generation: 1,
    lastActivityAt: now,
    lastActivityCause: 'detach',
    lastInputAt: 0,
    reapGeneration: 0,
    recreateGeneration: 0,
    adoptContainerId: '',
    adoptAtOnce: false,
  },
  leases: [],
  ended: [],
  sessions: [],
  status: status({}),
  holds: [],
  vaultRevision: 0,
  homeUsage: null,
  wantedUntil: Math.max(0, ...(fields.holds ?? []).map(({ untilMs }) => untilMs)),
  givesWayAt: null,
  ...fields,
});

describe('why a box is alive, and until when', () => {
  const cases: [string, Partial<BoxRecord>, string[]][] = [
    [
      'a job holds it',
      {
        leases: [lease('job', now + 4 * minute)],
        holds: [{ by: 'job', holder: 'agent-7', untilMs: now + 34 * minute }],
      },
      ['held by job lease j1 of agent-7 until 12:04:00 UTC (in 4 min), then kept 30 min'],
    ],
    [
      'a pin of another day',
      { leases: [lease('pin', now + 26 * 60 * minute, 'ops')], holds: [], wantedUntil: now + 1e9 },
      ['held by pin lease j1 of ops until 2026-11-24 14:00:00 UTC (in 1 d 2 h), then kept 30 min'],
    ],
    [
      'activity keeps it',
      { holds: [{ by: 'activity', holder: 'detach', untilMs: now + 20 * minute }] },
      ['kept by recent activity (detach) until 12:20:00 UTC (in 20 min)'],
    ],
    [
      'a terminal is attached',
      {
        leases: [lease('terminal', now + 20_000)],
        holds: [{ by: 'attached', holder: 'input', untilMs: now + 480 * minute }],
      },
      ['attached terminal; will be reaped after 8 h without input or output (as it is now: 20:00:00 UTC, in 8 h)'],
    ],
    [
      'an amnesty keeps it',
      { holds: [{ by: 'keep', holder: 'amnesty: Redis was emptied', untilMs: now + 30 * minute }] },
      ['kept because Redis was emptied (amnesty) until 12:30:00 UTC (in 30 min)'],
    ],
    [
      'it was reaped',
      { status: status({ phase: 'absent', lastReap: { cause: 'idle', at: now - minute, message: '' } }) },
      ['absent: reaped at 11:59:00 UTC because nobody needed it any more; only the home survives a reap'],
    ],
    [
      'its image is pulled',
      {
        leases: [lease('job', now + minute)],
        status: status({
          phase: 'provisioning',
          step: 'pulling',
          progress: { image: 'x', doneBytes: 43, totalBytes: 100, layersDone: 0, layers: 2 },
        }),
      },
      ['waits: image is pulled 43 %', expect.stringMatching(/^held by job/)],
    ],
    [
      'it failed',
      {
        status: status({ phase: 'failed', message: 'create: no such network', context: { retryAt: now + 4_000 } }),
        leases: [],
      },
      ['failed: create: no such network; next try in 4 s'],
    ],
    ['nobody ever asked', { desired: null, status: null }, ['absent: nobody has asked for it yet']],
    [
      'a lease was taken this very moment',
      { status: null, leases: [lease('job', now + minute)] },
      ['absent: not made yet', 'job lease j1 of agent-7 waits for it until 12:01:00 UTC (in 1 min)'],
    ],
    [
      'a foreign container has its name',
      {
        status: status({
          phase: 'absent',
          conditions: [
            {
              type: 'NameTaken',
              status: 'True',
              reason: 'ForeignContainer',
              message: 'container abc is not ours',
              since: now,
            },
          ],
        }),
      },
      ['absent: nobody has asked for it yet', 'its name is taken: container abc is not ours'],
    ],
    ['nothing holds it any more', { wantedUntil: now - 1 }, ['nothing holds it: it is reaped next']],
    [
      'reaps are paced',
      {
        wantedUntil: now - 1,
        status: status({
          conditions: [{ type: 'Idle', status: 'True', reason: 'ReapPaced', message: 'waits its turn', since: now }],
        }),
      },
      ['nothing holds it; waits its turn'],
    ],
  ];
  test.each(cases)('%s', (_what, fields, sentences) => {
    expect(whyOf(record(fields), idle)).toEqual(sentences);
  });
});

test('durations and times read as people say them', () => {
  const minutes = [0, 999, 45_000, 60_000, 125_000, 11 * minute + 5_000, 150 * minute, 3 * 1440 * minute];
  expect(minutes.map(humanDuration)).toEqual([
    '0 s',
    '1 s',
    '45 s',
    '1 min',
    '2 min 5 s',
    '11 min',
    '2 h 30 min',
    '3 d',
  ]);
  expect(utcTime(now, now)).toBe('12:00:00 UTC');
  expect(relativeTime(now - 90 * minute, now)).toBe('1 h 30 min ago');
});
