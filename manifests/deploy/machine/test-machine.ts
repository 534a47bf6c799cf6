import type { Engine } from './docker.ts';
import { ensureEngine, stopOwnEngine } from './engine.ts';
import { ensureBoxImage } from './image.ts';
import { makeStateDir, places } from './places.ts';
import { isAlive } from './processes.ts';
import { ensureRedisServer } from './redis.ts';
import { readRecord } from './run-record.ts';
import { readSettings, type Settings } from './settings.ts';
import { step } from './steps.ts';

/** The helper container of testcontainers; where it cannot be had, its tests clean up by themselves. */
const ryukImage = 'testcontainers/ryuk:0.14.0';

export interface TestMachine {
  readonly env: NodeJS.ProcessEnv;
  /** Stops the Docker engine if it was started for the tests. */
  readonly release: () => Promise<void>;
}

/** Brings up what tests and benchmarks need: Docker engine, redis-server, box image. */
export async function prepareTestMachine(mayInstall: boolean, signal: AbortSignal): Promise<TestMachine> {
  makeStateDir();
  const settings = readSettings();
  const ranBefore = isAlive(readRecord().dockerd);
  const engine = await step('Docker engine', (s) => ensureEngine(settings, mayInstall, s, signal));
  const started = !ranBefore && isAlive(readRecord().dockerd);
  try {
    await step('redis-server', (s) => ensureRedisServer(mayInstall, s));
    await step('Box image', (s) => ensureBoxImage(engine, settings, { rebuild: false, mayInstall }, s, signal));
    return { env: await testEnvironment(engine), release: () => release(settings, started) };
  } catch (error) {
    await release(settings, started);
    throw error;
  }
}

async function testEnvironment(engine: Engine): Promise<NodeJS.ProcessEnv> {
  const ryuk = await engine.hasImage(ryukImage);
  return {
    NODE_COMPILE_CACHE: places.compileCache,
    ...process.env,
    ...(ryuk ? {} : { TESTCONTAINERS_RYUK_DISABLED: 'true' }),
  };
}

async function release(settings: Settings, started: boolean): Promise<void> {
  if (!started) return;
  await step('Docker engine', async (s) => {
    s.done((await stopOwnEngine(settings, new AbortController().signal)) ?? 'has ended by itself');
  });
}
