import { expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';

const environment = { SPOON_AGENT_WORKER_INTERNAL_TOKEN: 'a-token-that-is-long-enough' };

test('a wait longer than a timer can wait is refused, and not done at once', () => {
  for (const name of ['SPOON_RESYNC_MS', 'SPOON_DRAIN_MS']) {
    expect(() => readConfig({ ...environment, [name]: String(30 * 86_400_000) })).toThrow(name);
  }
});

test('a term whose beats come too rarely for Redis to be trusted is refused', () => {
  expect(() => readConfig({ ...environment, SPOON_LEADER_TTL_MS: '40000' })).toThrow('SPOON_LEADER_TTL_MS');
  expect(readConfig({ ...environment, SPOON_LEADER_TTL_MS: '10000' }).leaderTtlMs).toBe(10_000);
});

test('every problem is told at once', () => {
  const wrong = { SPOON_REDIS_URL: 'http://here', SPOON_WORKERS: '0' };
  expect(() => readConfig(wrong)).toThrow(
    /SPOON_REDIS_URL.*SPOON_WORKERS.*SPOON_AGENT_WORKER_INTERNAL_TOKEN: is missing/s,
  );
});
