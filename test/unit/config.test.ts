import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { composeTable, configTable, readConfig } from '#shared/config.ts';

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

test('trusted proxies are addresses and networks, and nothing else', () => {
  const trusted = (list: string): readonly string[] =>
    readConfig({ ...environment, SPOON_TRUSTED_PROXIES: list }).trustedProxies;
  expect(trusted('10.1.2.3, 172.16.0.0/12,fd00::/8')).toEqual(['10.1.2.3', '172.16.0.0/12', 'fd00::/8']);
  for (const wrong of ['proxy.example', '10.0.0.0/33', '10.1.2']) expect(() => trusted(wrong)).toThrow('networks');
});

test('every variable of the compose files is documented, and a process that sees it does not warn', () => {
  const root = new URL('../../', import.meta.url).pathname;
  const files = ['compose.yml', ...globSync('manifests/deploy/compose.*.yml', { cwd: root })];
  const texts = files.map((file) => readFileSync(`${root}${file}`, 'utf8'));
  const used = new Set(texts.flatMap((text) => [...text.matchAll(/\$\{(SPOON_\w+)/g)].map(([, name = '']) => name)));
  const documented = [...composeTable(), ...configTable()].map(({ name }) => name);
  expect([...used].filter((name) => !documented.includes(name))).toEqual([]);
  expect(composeTable().filter(({ name }) => !used.has(name))).toEqual([]);
  const all = Object.fromEntries(composeTable().map(({ name }) => [name, 'x']));
  expect(readConfig({ ...environment, ...all }).warnings).toEqual([]);
});
