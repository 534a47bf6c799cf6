import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The checkout. */
export const root = resolve(import.meta.dirname, '../../..');

/** Tells this checkout from others whose images are on the same engine. */
export const checkoutId = createHash('sha256').update(root).digest('hex').slice(0, 12);

/** All that `npm start` keeps: secrets, Redis data, logs, and by default the homes. Readable by its owner only. */
export const stateDir = join(root, '.spoonbox');

export const places = {
  dotenv: join(root, '.env'),
  claim: join(stateDir, 'start.pid'),
  record: join(stateDir, 'run.json'),
  client: join(stateDir, 'client.json'),
  secrets: join(stateDir, 'secrets.env'),
  redis: join(stateDir, 'redis'),
  logs: join(stateDir, 'logs'),
  work: join(stateDir, 'work'),
  boxImage: join(root, 'manifests/images/box'),
  standIns: join(root, 'manifests/images/stand-in'),
  console: join(root, 'controller/console'),
  /** NODE_COMPILE_CACHE of our processes: a third of each start is stripping types and compiling. */
  compileCache: join(stateDir, 'compile-cache'),
} as const;

/** The homes need no more: the engine mounts them as root, whoever their owner is. */
export function makeStateDir(): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  for (const dir of [places.redis, places.logs]) mkdirSync(dir, { recursive: true, mode: 0o700 });
}
