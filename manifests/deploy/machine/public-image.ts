import { cpSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { importStandIn } from '../../images/stand-in.ts';
import { which } from './command.ts';
import type { Engine } from './docker.ts';
import { places } from './places.ts';
import { Refusal, reasonOf } from './refusal.ts';
import { type Step, say } from './steps.ts';

/** Public images that can be made here from Debian's packages (and this machine's Node), by their folder in `images/stand-in`. */
const standIns: Readonly<Record<string, string>> = {
  'node:24-bookworm-slim': 'node',
  'redis:7-bookworm': 'redis',
  'nginx:stable-bookworm': 'nginx',
};

/** As compose.yml and its nginx overlay name them. */
export const composePublicImages: readonly string[] = ['redis:7-bookworm', 'nginx:stable-bookworm'];

/** Has a public image on the engine: as it is there, else pulled, else a stand-in of the same name, which is told. */
export async function ensurePublicImage(
  engine: Engine,
  name: string,
  mayInstall: boolean,
  step: Step,
  signal: AbortSignal,
): Promise<void> {
  if (await engine.hasImage(name)) return;
  try {
    step.progress(`pulling ${name}`);
    await engine.pull(name, (text) => step.progress(`pulling ${name}: ${text}`), signal);
  } catch (error) {
    signal.throwIfAborted();
    say(`    ${name} cannot be pulled (${reasonOf(error)}): making a local stand-in of it`);
    const folder = standIns[name];
    if (folder === undefined) await importStandIn(engine, name, mayInstall, step, signal);
    else await buildStandIn(engine, name, join(places.standIns, folder), mayInstall, step, signal);
  }
}

/** The images that the stages of a Dockerfile begin with, each once; stages that begin with an earlier one are left out. */
export function basesOf(dockerfile: string): string[] {
  const text = readFileSync(dockerfile, 'utf8');
  const stages = [...text.matchAll(/^FROM\s+(\S+)(?:\s+AS\s+(\S+))?/gim)];
  const named = new Set(stages.map(([, , stage]) => stage));
  const bases = new Set(stages.map(([, base = '']) => base).filter((base) => !named.has(base)));
  if (bases.size === 0) throw new Refusal(`${dockerfile} names no base image`);
  return [...bases];
}

async function buildStandIn(
  engine: Engine,
  name: string,
  folder: string,
  mayInstall: boolean,
  step: Step,
  signal: AbortSignal,
): Promise<void> {
  for (const base of basesOf(join(folder, 'Dockerfile'))) {
    await ensurePublicImage(engine, base, mayInstall, step, signal);
  }
  const dir = mkdtempSync(join(tmpdir(), 'spoonbox-stand-in-'));
  try {
    cpSync(folder, dir, { recursive: true });
    if (name.startsWith('node:')) copyOwnNode(dir);
    const onLine = (line: string): void => step.progress(`building the stand-in of ${name}: ${line}`);
    await engine.build({ dir, files: readdirSync(dir), tag: name }, onLine, signal);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The Node that runs this, and the npm that started it or that is on the PATH. */
function copyOwnNode(dir: string): void {
  const npm = process.env.npm_execpath ?? which('npm');
  if (npm === undefined) throw new Refusal('no stand-in for node can be made without npm: install it');
  cpSync(process.execPath, join(dir, 'node'), { dereference: true });
  cpSync(dirname(dirname(realpathSync(npm))), join(dir, 'npm'), { recursive: true });
}
