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

test('links to the console have a host that a browser can open, wherever the API listens', () => {
  const at = (more: Record<string, string>): string => readConfig({ ...environment, ...more }).publicUrl;
  expect(at({})).toBe('http://127.0.0.1:3922');
  expect(at({ SPOON_BIND: '0.0.0.0', SPOON_CONTROLLER_PORT: '80' })).toBe('http://127.0.0.1:80');
  expect(at({ SPOON_BIND: '::' })).toBe('http://127.0.0.1:3922');
  expect(at({ SPOON_BIND: 'fd00::1' })).toBe('http://[fd00::1]:3922');
  expect(at({ SPOON_PUBLIC_URL: 'https://spoon.example/box/' })).toBe('https://spoon.example/box');
  expect(() => at({ SPOON_PUBLIC_URL: 'spoon.example' })).toThrow('SPOON_PUBLIC_URL');
});
