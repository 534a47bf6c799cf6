import { describe, expect, it } from 'vitest';
import { loadClasses } from '#shared/classes.ts';
import { type Config, readConfig } from '#shared/config.ts';
import { legacyEnvironment } from '../support/legacy-env.ts';

/** Every variable that a Spoon deployment has set, by the name, the default and the fall-back that its document gives. */

const token = 'a-token-that-is-long-enough';
const read = (more: Record<string, string> = {}): Config => {
  return readConfig({ SPOON_AGENT_WORKER_INTERNAL_TOKEN: token, ...more });
};

describe('a variable of Spoon’s worker', () => {
  it('SPOON_AGENT_TERMINAL_SECRET falls back to the internal token, also where it is there and empty', () => {
    expect(read().terminalSecret).toBe(token);
    expect(read({ SPOON_AGENT_TERMINAL_SECRET: '' }).terminalSecret).toBe(token);
    expect(read({ SPOON_AGENT_TERMINAL_SECRET: 'one-of-its-own-x' }).terminalSecret).toBe('one-of-its-own-x');
  });

  it('SPOON_AGENT_BOX_IDLE_MS is 30 minutes, and of every class where it is set', () => {
    const idleOf = (config: Config) => loadClasses(config.classesDir, config).get('default')?.idle.detached;
    expect(idleOf(read())).toBe(1_800_000);
    expect(idleOf(read({ SPOON_AGENT_BOX_IDLE_MS: '60000' }))).toBe(60_000);
  });

  it('SPOON_AGENT_TERMINAL_IDLE_MS changes nothing, and one line says what governs', () => {
    const { warnings, ...config } = read({ SPOON_AGENT_TERMINAL_IDLE_MS: '1800000' });
    const { warnings: none, ...without } = read();
    expect(config).toEqual(without);
    expect(none).toEqual([]);
    expect(warnings).toEqual(['SPOON_AGENT_TERMINAL_IDLE_MS has no effect any more: SPOON_AGENT_BOX_IDLE_MS governs']);
  });

  it('SPOON_AGENT_HOST_WORKDIR is the work directory where it is not set', () => {
    const workdir = '/srv/spoon/work';
    expect(read({ SPOON_AGENT_WORKDIR: workdir })).toMatchObject({ workdir, hostWorkdir: workdir });
    const host = { SPOON_AGENT_WORKDIR: workdir, SPOON_AGENT_HOST_WORKDIR: '/data/work' };
    expect(read(host)).toMatchObject({ workdir, hostWorkdir: '/data/work' });
  });

  it('SPOON_ENCRYPTION_KEY is the vault’s key, else INSTANCE_SECRET', () => {
    expect(read().encryptionKey).toBe(null);
    expect(read({ INSTANCE_SECRET: 'i' }).encryptionKey).toBe('i');
    expect(read({ INSTANCE_SECRET: 'i', SPOON_ENCRYPTION_KEY: 'k' }).encryptionKey).toBe('k');
  });

  it('NEXT_PUBLIC_SPOON_AGENT_WORKER_WS_URL is the public WebSocket URL, unless it has its newer name', () => {
    const older = { NEXT_PUBLIC_SPOON_AGENT_WORKER_WS_URL: 'wss://worker.spoon.example' };
    expect(read(older).publicWsUrl).toBe('wss://worker.spoon.example');
    expect(read({ ...older, SPOON_PUBLIC_WS_URL: 'wss://box.example' }).publicWsUrl).toBe('wss://box.example');
  });

  it('the worker’s port is the gateway’s', () => {
    expect(read().gatewayPort).toBe(3921);
  });

  it('that nobody knows is warned about by its name, and keeps nothing from starting', () => {
    expect(read({ SPOON_AGENT_SOMETHING: '1' }).warnings).toEqual([
      'SPOON_AGENT_SOMETHING is not a variable of Spoonbox and has no effect',
    ]);
    expect(read({ NEXT_PUBLIC_CONVEX_URL: 'https://x', GITEA_TOKEN: 'x' }).warnings).toEqual([]);
  });
});

it('the .env of such a deployment is read as it is: secrets fall back, every page may open terminals, its own tokens do not pass yet', () => {
  const config = readConfig(legacyEnvironment());
  expect(config).toMatchObject({
    workdir: '/var/lib/spoon/work',
    hostWorkdir: '/srv/spoon/work',
    terminalSecret: config.internalToken,
    publicWsUrl: 'wss://worker.spoon.example.org',
    boxIdleMs: 1_800_000,
    allowedOrigins: [],
    legacyTokens: false,
  });
  expect(config.encryptionKey).toMatch(/^fixture-/);
  expect(config.warnings.map((line) => line.split(' ')[0])).toEqual([
    'SPOON_AGENT_MAX_CONCURRENT_JOBS',
    'SPOON_AGENT_TERMINAL_IDLE_MS',
  ]);
});

it('tokens of Spoon’s own shape pass only where that is said in so many words', () => {
  expect(read({ SPOON_LEGACY_TOKENS: '1' }).legacyTokens).toBe(true);
  expect(read({ SPOON_LEGACY_TOKENS: 'false' }).legacyTokens).toBe(false);
  expect(() => read({ SPOON_LEGACY_TOKENS: 'perhaps' })).toThrow('SPOON_LEGACY_TOKENS');
});
