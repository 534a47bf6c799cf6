import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeFlagsOf } from '#shared/node-flags.ts';
import { LogFollower, openLog, readable } from './log-file.ts';
import { places, root } from './places.ts';
import { endProcess, isAlive, markOf, type ProcessMark } from './processes.ts';
import { Refusal, reasonOf } from './refusal.ts';
import { updateRecord } from './run-record.ts';
import { say } from './steps.ts';

const readyTimeoutMs = 60_000;
const readyPollMs = 50;
const answerTimeoutMs = 2_000;
const restartsPerMinute = 5;
const firstBackoffMs = 500;
const keptLines = 10;

export interface ServiceSpec {
  readonly name: 'controller' | 'gateway';
  readonly script: string;
  /** `http://host:port`, where it answers `/readyz`. */
  readonly address: string;
  readonly env: NodeJS.ProcessEnv;
  /** Shows every log line, not only warnings and errors. */
  readonly verbose: boolean;
}

/**
 * One of the two processes, in a process group of its own, so that a Ctrl-C reaches it only through us.
 * It writes its log file itself and therefore survives us; the record lets the next start find it.
 *
 * INVARIANTS: at most one child lives; none is started once `stop` was called.
 */
export class Service {
  readonly spec: ServiceSpec;
  readonly #log: string;
  readonly #lastLines: string[] = [];
  #child: ChildProcess | undefined;
  #mark: ProcessMark | undefined;
  #follower: LogFollower | undefined;
  #stopping = false;

  constructor(spec: ServiceSpec) {
    this.spec = spec;
    this.#log = join(places.logs, `${spec.name}.log`);
  }

  get pid(): number | undefined {
    return this.#mark?.pid;
  }

  /** Starts it and waits until it says that it is ready. */
  async start(onProgress: (text: string) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const child = this.#spawn();
    for (let waitedMs = 0; ; waitedMs += readyPollMs) {
      if (child.exitCode !== null || child.signalCode !== null) {
        this.#follower?.stop();
        this.#follower = undefined;
        throw new Refusal(`the ${this.spec.name} ended while starting (${endOf(child)}): ${this.#lastWords()}`);
      }
      const reason = await whyNotReady(this.spec.address, signal);
      if (reason === undefined) return;
      signal.throwIfAborted();
      if (waitedMs >= readyTimeoutMs) {
        throw new Refusal(`the ${this.spec.name} is not ready (${reason}): look at ${this.#log}`);
      }
      onProgress(reason);
      await sleep(readyPollMs, undefined, { signal });
    }
  }

  /** Starts it again whenever it dies, until `signal` aborts; throws when it dies too often. */
  async keepAlive(signal: AbortSignal): Promise<void> {
    let diedAt: number[] = [];
    while (!signal.aborted) {
      const child = this.#child;
      if (child === undefined) return;
      await endOfChild(child, signal);
      if (signal.aborted || this.#stopping) return;
      const now = performance.now();
      diedAt = [...diedAt.filter((at) => now - at < 60_000), now];
      if (diedAt.length > restartsPerMinute) {
        throw new Refusal(
          `the ${this.spec.name} died ${diedAt.length} times within a minute (${endOf(child)}): ${this.#lastWords()}`,
        );
      }
      const backoffMs = firstBackoffMs * 2 ** (diedAt.length - 1);
      say(
        `!!  the ${this.spec.name} died (${endOf(child)}): starting it again in ${backoffMs / 1_000} s; its log is ${this.#log}`,
      );
      await sleep(backoffMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || this.#stopping) return;
      this.#spawn();
      say(`ok  the ${this.spec.name} was started again (pid ${this.pid})`);
    }
  }

  /** SIGTERM, and SIGKILL when the grace is over or `urgent` aborts. True when it drained by itself. */
  async stop(graceMs: number, urgent: AbortSignal): Promise<boolean> {
    this.#stopping = true;
    let gently = true;
    if (isAlive(this.#mark)) {
      try {
        gently = await endProcess(this.#mark, graceMs, urgent);
      } catch (error) {
        if (!urgent.aborted) throw error;
        this.#child?.kill('SIGKILL');
        gently = false;
      }
    }
    this.#follower?.stop();
    this.#follower = undefined;
    updateRecord({ [this.spec.name]: undefined });
    return gently;
  }

  #spawn(): ChildProcess {
    this.#follower?.stop();
    const log = openLog(this.#log);
    this.#lastLines.length = 0;
    this.#follower = new LogFollower(this.#log, (line) => this.#show(line));
    const script = join(root, this.spec.script);
    const child = spawn(process.execPath, [...nodeFlagsOf(script), script], {
      cwd: root,
      env: { NODE_COMPILE_CACHE: places.compileCache, ...this.spec.env },
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', (error) => say(`!!  the ${this.spec.name} could not be run: ${reasonOf(error)}`));
    this.#child = child;
    this.#mark = child.pid === undefined ? undefined : markOf(child.pid);
    updateRecord({ [this.spec.name]: this.#mark });
    return child;
  }

  #show(line: string): void {
    const whole = readable(line, true);
    if (whole !== undefined) this.#lastLines.push(whole);
    if (this.#lastLines.length > keptLines) this.#lastLines.shift();
    const text = readable(line, this.spec.verbose);
    if (text !== undefined) say(`    ${this.spec.name} ${text}`);
  }

  #lastWords(): string {
    const last = this.#lastLines.findLast((line) => /^(error|fatal)\b|Error\b/.test(line)) ?? this.#lastLines.at(-1);
    return `${last ?? 'it wrote nothing'} (its log is ${this.#log})`;
  }
}

async function whyNotReady(address: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const response = await fetch(`${address}/readyz`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]),
    });
    const body = (await response.text()).replaceAll(/\s+/g, ' ').slice(0, 200);
    return response.status === 200 ? undefined : `not ready: ${response.status} ${body}`;
  } catch {
    return 'starting'; // nobody listens yet
  }
}

function endOfChild(child: ChildProcess, signal: AbortSignal): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

const endOf = (child: ChildProcess): string => child.signalCode ?? `exit code ${child.exitCode}`;
