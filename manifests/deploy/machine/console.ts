import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './command.ts';
import { packaged } from './foreground.ts';
import { places, root } from './places.ts';
import type { Step } from './steps.ts';

/** What the page is made from. `dist` is what it is made into. */
const sources = ['controller/console', 'controller/sdk', 'shared/src', 'package-lock.json'];
const built = join(places.console, 'dist');

/** Builds the console's page where its sources are newer than what was built last. */
export async function ensureConsole(step: Pick<Step, 'progress' | 'done'>, signal: AbortSignal): Promise<void> {
  const builtAtMs = statSync(join(built, 'index.html'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const newest = Math.max(...sources.map((path) => newestMs(join(root, path))));
  if (builtAtMs > newest) {
    step.done('up to date');
    return;
  }
  step.progress('vite builds the page');
  const env = { ...process.env, NODE_ENV: 'production' };
  await runCommand(packaged('vite'), ['build', places.console], { env, onLine: step.progress }, signal);
  step.done('built');
}

/** When anything at or below this path was last written, added or removed. */
function newestMs(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  const entries = readdirSync(path).filter((name) => join(path, name) !== built);
  // A folder's own time tells that something is gone; of the one that holds `dist` it would tell of the build itself.
  const own = path === places.console ? 0 : stat.mtimeMs;
  return Math.max(own, ...entries.map((name) => newestMs(join(path, name))));
}
