import { existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installPackages, whyNoInstall } from './apt.ts';
import { runCommand, which } from './command.ts';
import { requireSpace } from './disk.ts';
import { Engine, type EngineAnswer, type EngineFacts } from './docker.ts';
import { places, stateDir } from './places.ts';
import { endProcess, isAlive, markOf, type ProcessMark } from './processes.ts';
import { Refusal } from './refusal.ts';
import { readRecord, updateRecord } from './run-record.ts';
import type { Settings } from './settings.ts';
import { type Step, say } from './steps.ts';

/** Docker 20.10. */
const oldestApi = '1.41';
/** What Spoonbox was tried with; a later engine that still speaks it is fine. */
const newestApi = '1.52';
const packages = ['docker.io', 'iptables'];
const startTimeoutMs = 60_000;
const stopTimeoutMs = 60_000;
const pollMs = 200;

/** Finds the Docker engine, or installs and starts one where this machine lets us. */
export async function ensureEngine(
  settings: Settings,
  mayInstall: boolean,
  step: Step,
  signal: AbortSignal,
): Promise<Engine> {
  const given = settings.DOCKER_HOST;
  const engine = new Engine(given);
  let answer = await engine.ask();
  if (answer.kind === 'absent') {
    if (given !== undefined) {
      throw new Refusal(
        `no Docker engine answers at DOCKER_HOST=${given} (${answer.reason}): start it, or unset DOCKER_HOST`,
      );
    }
    await installEngine(engine.address, mayInstall, step);
    signal.throwIfAborted();
    await startEngine(engine, step, signal);
    answer = await engine.ask();
  }
  if (answer.kind !== 'answers') throw new Refusal(whyUnusable(engine, answer));
  checkFacts(answer.facts, engine);
  step.done(`${answer.facts.version}, API ${answer.facts.apiVersion}, at ${engine.address}`);
  return engine;
}

/** Why the engine that is there cannot be used, and what to do. */
export function whyUnusable(engine: Engine, answer: Exclude<EngineAnswer, { kind: 'answers' }>): string {
  if (answer.kind === 'forbidden') {
    return `no permission on the Docker socket ${engine.address}: run \`sudo usermod -aG docker $USER\`, log in again, then try again`;
  }
  return `the Docker engine at ${engine.address} does not answer as one (${answer.reason}): look at its log`;
}

/** Stops the dockerd that we started, unless it runs something that is not ours to stop. Says what it did, if anything. */
export async function stopOwnEngine(settings: Settings, signal: AbortSignal): Promise<string | undefined> {
  const { dockerd } = readRecord();
  if (!isAlive(dockerd)) {
    updateRecord({ dockerd: undefined });
    return undefined;
  }
  const running = await new Engine(settings.DOCKER_HOST).runningNames();
  if (running.length > 0) return `left running (pid ${dockerd.pid}), because it runs ${running.slice(0, 5).join(', ')}`;
  const gently = await endProcess(dockerd, stopTimeoutMs, signal);
  updateRecord({ dockerd: undefined });
  return gently ? 'stopped' : `killed, because it did not stop within ${stopTimeoutMs / 1_000} s`;
}

async function installEngine(address: string, mayInstall: boolean, step: Step): Promise<void> {
  if (which('dockerd') !== undefined) return;
  if (!mayInstall) {
    throw new Refusal(
      `no Docker engine at ${address}, and --no-install forbids to install ${packages.join(' and ')}: install and start one`,
    );
  }
  const why = whyNoInstall();
  if (why !== undefined) {
    throw new Refusal(
      `no Docker engine at ${address}, and ${why}: install and start one (https://docs.docker.com/engine/install), or set DOCKER_HOST`,
    );
  }
  say(`    no Docker engine here: installing ${packages.join(' and ')} with apt-get, then starting it`);
  await installPackages(packages, step);
}

async function startEngine(engine: Engine, step: Step, signal: AbortSignal): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Refusal(
      `the Docker engine at ${engine.address} does not run: start it as root (\`sudo systemctl start docker\`)`,
    );
  }
  let own: ProcessMark | undefined;
  if (existsSync('/run/systemd/system')) {
    step.progress('systemctl start docker');
    await runCommand('systemctl', ['start', 'docker'], {}, signal);
  } else {
    step.progress('starting dockerd');
    own = spawnDockerd();
    updateRecord({ dockerd: own });
  }
  for (let waitedMs = 0; waitedMs < startTimeoutMs; waitedMs += pollMs) {
    if ((await engine.ask()).kind === 'answers') return;
    if (own !== undefined && !isAlive(own)) {
      throw new Refusal(`dockerd ended at once: ${lastError()} (its log is ${dockerdLog})`);
    }
    step.progress(`waiting for it to answer (${Math.floor(waitedMs / 1_000)} s)`);
    await sleep(pollMs, undefined, { signal });
  }
  throw new Refusal(
    `the Docker engine does not answer after ${startTimeoutMs / 1_000} s: look at ${own === undefined ? '`journalctl -u docker`' : dockerdLog}`,
  );
}

const dockerdLog = join(places.logs, 'dockerd.log');

/** In a session of its own: it outlives us, as boxes do. */
function spawnDockerd(): ProcessMark | undefined {
  const dockerd = which('dockerd');
  if (dockerd === undefined)
    throw new Refusal('dockerd was not found after its installation: install a Docker engine by hand');
  const log = openSync(dockerdLog, 'a', 0o600);
  const child = spawn(dockerd, [], { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  child.unref();
  return child.pid === undefined ? undefined : markOf(child.pid);
}

function lastError(): string {
  const lines = readFileSync(dockerdLog, 'utf8').trimEnd().split('\n');
  return lines.findLast((line) => /fatal|error|failed/i.test(line)) ?? lines.at(-1) ?? '';
}

function checkFacts(facts: EngineFacts, engine: Engine): void {
  if (compareVersions(facts.apiVersion, oldestApi) < 0) {
    throw new Refusal(
      `Docker ${facts.version} is too old (API ${facts.apiVersion}): ${oldestApi} is needed, which is Docker 20.10 or later`,
    );
  }
  if (compareVersions(facts.minApiVersion, newestApi) > 0) {
    throw new Refusal(`Docker ${facts.version} is too new (it refuses API ${newestApi}): update Spoonbox`);
  }
  requireSpace(stateDir, 'homes and Redis');
  if (engine.isLocal && existsSync(facts.rootDir) && statSync(facts.rootDir).isDirectory()) {
    requireSpace(facts.rootDir, "Docker's images and boxes");
  }
}

function compareVersions(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number);
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}
