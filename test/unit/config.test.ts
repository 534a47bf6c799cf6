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

test('the vault’s key is the one of Spoon, else the instance’s, which opens beside it what it sealed before', () => {
  const keys = (more: Record<string, string>) => {
    const { encryptionKey, previousEncryptionKeys } = readConfig({ ...environment, ...more });
    return [encryptionKey, ...previousEncryptionKeys];
  };
  expect(keys({})).toEqual([null]);
  expect(keys({ INSTANCE_SECRET: 'instance' })).toEqual(['instance']);
  expect(keys({ INSTANCE_SECRET: 'instance', SPOON_ENCRYPTION_KEY: 'own' })).toEqual(['own', 'instance']);
  const previous = { SPOON_ENCRYPTION_KEY: 'own', SPOON_ENCRYPTION_KEY_PREVIOUS: 'one, two,,own' };
  expect(keys(previous)).toEqual(['own', 'one', 'two']);
  const warnings = (more: Record<string, string>): string => readConfig({ ...environment, ...more }).warnings.join();
  expect(warnings({ SPOON_ENCRYPTION_KEY: 'short' })).toContain('shorter than 16');
  expect(warnings({ SPOON_ENCRYPTION_KEY_PREVIOUS: 'a previous secret' })).toContain('has no effect without');
  expect(warnings({ SPOON_ENCRYPTION_KEY: 'long enough to be one' })).toBe('');
});
