// The first thing that runs on a machine with nothing but Node and npm: installs the packages that the lockfile names,
// then hands over to the named script under the Node that they bring. Plain JavaScript without dependencies on purpose.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const oldestNode = 20;
const wantedNode = 24;
/** A terminal signals the whole group and npm passes the same signal on again: what comes this close together is one. */
const sameSignalMs = 250;

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const major = Number(process.versions.node.split('.')[0]);

if (major < oldestNode) {
  refuse(
    `Node ${process.versions.node} is too old: install Node ${oldestNode} or later (${wantedNode} is used for the rest).`,
  );
}
const [name, ...args] = process.argv.slice(2);
const script = join(root, 'manifests/deploy', `${name}.ts`);
if (name === undefined || !existsSync(script)) {
  const known = readdirSync(dirname(script)).filter((file) => file.endsWith('.ts'));
  refuse(`usage: bootstrap.mjs ${known.map((file) => file.slice(0, -3)).join('|')} [arguments]`);
}
if (!packagesInstalled()) installPackages();
handOver(nodeToUse());

/** True when everything that the lockfile requires is there in the same version (what is optional may be absent). */
function packagesInstalled() {
  const wanted = packagesOf(join(root, 'package-lock.json'));
  const present = packagesOf(join(root, 'node_modules/.package-lock.json'));
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || (entry.optional && present[path] === undefined)) return true;
    return present[path]?.version === entry.version && existsSync(join(root, path));
  });
}

function packagesOf(lockfile) {
  if (!existsSync(lockfile)) return {};
  return JSON.parse(readFileSync(lockfile, 'utf8')).packages ?? {};
}

function installPackages() {
  console.error('..  Packages: npm ci (the first time takes a minute)');
  // npm names itself to the scripts that it runs; by hand, the one on PATH is used.
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  const run = spawnSync(npm[0], [...npm.slice(1), 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (run.error) refuse(`npm could not be run (${run.error.message}): install npm, then try again.`);
  if (run.status !== 0) {
    refuse(
      `npm ci failed (${run.signal ?? `exit code ${run.status}`}): its message is above; fix that, then try again.`,
    );
  }
  console.error('ok  Packages: installed');
}

/** The Node that the packages bring; its binary comes by an install script, which npm may have been told to skip. */
function nodeToUse() {
  const own = join(root, 'node_modules/.bin/node');
  if (existsSync(own)) {
    const run = spawnSync(own, ['--version'], { encoding: 'utf8' });
    if (run.status === 0 && Number(run.stdout.slice(1).split('.')[0]) >= wantedNode) return own;
  }
  if (major >= wantedNode) return process.execPath;
  refuse(
    `Node ${wantedNode} is not in node_modules (npm did not run the package's install script): run \`npm rebuild node\`, or install Node ${wantedNode}, then try again.`,
  );
}

/** Runs the script in a session of its own, so that each signal reaches it exactly once: from here. */
function handOver(node) {
  const child = spawn(node, [script, ...args], {
    cwd: root,
    stdio: 'inherit',
    detached: true,
    env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH ?? ''}` },
  });
  const lastAt = new Map();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      const now = performance.now();
      const before = lastAt.get(signal) ?? Number.NEGATIVE_INFINITY;
      lastAt.set(signal, now);
      if (now - before >= sameSignalMs) child.kill(signal);
    });
  }
  child.on('error', (error) => refuse(`${node} could not be run: ${error.message}`));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

function refuse(message) {
  console.error(message);
  process.exit(1);
}
