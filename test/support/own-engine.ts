import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { smallImage } from '../e2e/small-image.ts';
import { boxImage, dockerodeAt } from './docker.ts';

const startWithinMs = 30_000;
const stopWithinMs = 60_000;
const lookEveryMs = 50;
const shellOutputBytes = 16 * 1024 * 1024;
const run = promisify(execFile);
/** One paragraph for each process: its command line, then its marks. The kernel's own and those that just ended have no command. */
const listProcesses = `
  for entry in /proc/[0-9]*; do
    command=$(tr '\\0\\n' '  ' < "$entry/cmdline" 2>/dev/null) || continue
    if [ -n "$command" ]; then
      printf '%s\\n' "$command"
      tr '\\0' '\\n' < "$entry/environ" 2>/dev/null | grep '^SPOONBOX_' || true
      echo
    fi
  done
`;

/** A Docker engine of a test's own, that may be stopped, killed and filled. The box image in it is a small one with a shell. */
export interface OwnEngine {
  /** in the form of DOCKER_HOST */
  readonly address: string;
  /** Starts it, and waits until it answers. With live restore, containers outlive the engine. */
  start(options?: { liveRestore?: boolean }): Promise<void>;
  /** SIGTERM: without live restore its containers are stopped. */
  stop(): Promise<void>;
  /** SIGKILL: its containers run on unseen. Without live restore the next start ends them. */
  kill(): Promise<void>;
  /** SIGSTOP, SIGCONT to the engine itself; its containers go on. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Uses up its disk, to the last byte. */
  fillDisk(): Promise<void>;
  freeDisk(): Promise<void>;
  /** A client; the engine must run. */
  connect(): Promise<Docker>;
  /** Command lines of all processes in the engine's namespaces, with what of their environment begins with `SPOONBOX_`. */
  processes(): Promise<{ command: string; marks: string[] }[]>;
  /** Ends it with all that runs in it, and removes its data. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface OwnEngineOptions {
  /** where it listens beside its socket, as `tcp://…`; only who shares the network with it can get there */
  readonly listen?: string;
  /** 'shared': in the network namespace of this process */
  readonly network?: 'own' | 'shared';
  readonly diskMiB?: number;
}

/** Why no engine of one's own can be had here; null where it can. */
export function whyNoOwnEngine(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a Docker engine of its own needs root on Linux';
  const missing = ['dockerd', 'unshare', 'nsenter'].filter((program) => !isInstalled(program));
  return missing.length === 0 ? null : `a Docker engine of its own needs ${missing.join(', ')}`;
}

/**
 * The engine lives in namespaces of its own for mounts, network and processes: its bridges, firewall rules and mounts cannot
 * meet those of the machine, and all of them end with the first process in there. That one ends when its standard input
 * does, so that a test run that was killed leaves nothing behind either.
 */
export async function createOwnEngine(options: OwnEngineOptions = {}): Promise<OwnEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'spoonbox-engine-'));
  const socket = join(folder, 'docker.sock');
  const address = `unix://${socket}`;
  const rooms = await openRooms(options);
  let daemon: ChildProcess | null = null;
  let log = '';

  async function start({ liveRestore = false }: { liveRestore?: boolean } = {}): Promise<void> {
    if (daemon !== null) throw new Error('the engine runs already');
    const flags = [
      ...['--data-root', '/run/spoonbox-engine/data', '--exec-root', '/run/spoonbox-engine/exec'],
      ...['--pidfile', '/run/spoonbox-engine/dockerd.pid', '--host', address],
      ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--log-level', 'warn'],
      // Said in words, the engine does not wait long before it listens without TLS.
      ...(options.listen === undefined ? [] : ['--tls=false', '--host', options.listen]),
      ...(liveRestore ? ['--live-restore'] : []),
    ];
    const started = spawn('nsenter', [...rooms.enter, 'dockerd', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    daemon = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        log = (log + chunk.toString()).slice(-8_000);
      });
    }
    const giveUpAt = performance.now() + startWithinMs;
    for (;;) {
      if (started.exitCode !== null) throw new Error(`dockerd ended with ${started.exitCode}:\n${log}`);
      const docker = await dockerodeAt(address).catch(() => null);
      if (docker !== null && (await docker.ping().catch(() => null)) !== null) return;
      if (performance.now() >= giveUpAt) throw new Error(`dockerd did not answer within ${startWithinMs} ms:\n${log}`);
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }

  async function end(signal: 'TERM' | 'KILL'): Promise<void> {
    const running = daemon;
    daemon = null;
    if (running === null || running.exitCode !== null) return;
    const exited = once(running, 'exit', { signal: AbortSignal.timeout(stopWithinMs) });
    await rooms.shell(`kill -${signal} "$(cat /run/spoonbox-engine/dockerd.pid)"`);
    await exited;
  }

  const engine: OwnEngine = {
    address,
    start,
    stop: () => end('TERM'),
    kill: () => end('KILL'),
    freeze: () => rooms.shell('kill -STOP "$(cat /run/spoonbox-engine/dockerd.pid)"').then(() => {}),
    async thaw() {
      await rooms.shell('kill -CONT "$(cat /run/spoonbox-engine/dockerd.pid)"');
      // It stands still with its child, and does not go on with it.
      daemon?.kill('SIGCONT');
    },
    async processes() {
      const text = await rooms.shell(listProcesses);
      return text
        .split('\n\n')
        .map((part) => part.split('\n').filter((line) => line !== ''))
        .flatMap(([command, ...marks]) => (command === undefined ? [] : [{ command, marks }]));
    },
    // The file is made from zeros that are really written: `fallocate` is refused where it does not fit.
    fillDisk: () => rooms.shell('cat /dev/zero > /run/spoonbox-engine/data/filler 2>/dev/null || true').then(() => {}),
    freeDisk: () => rooms.shell('rm /run/spoonbox-engine/data/filler').then(() => {}),
    connect: () => dockerodeAt(address),
    async [Symbol.asyncDispose]() {
      await end('TERM');
      await rooms.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await start();
    await importSmallBox(await engine.connect());
    return engine;
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

interface Rooms {
  /** arguments of nsenter that lead into them */
  readonly enter: readonly string[];
  /** Answers what it printed. */
  shell(script: string): Promise<string>;
  close(): Promise<void>;
}

/** Namespaces with the places of their own that an engine and its containerd have fixed paths in. */
async function openRooms({ network = 'own', diskMiB = 96 }: OwnEngineOptions): Promise<Rooms> {
  const ownNetwork = network === 'own' ? ['--net'] : [];
  const script = `
    set -eu
    mkdir -p /run/containerd /run/docker /run/spoonbox-engine
    for place in containerd docker spoonbox-engine; do mount -t tmpfs -o mode=0711 tmpfs "/run/$place"; done
    mkdir /run/spoonbox-engine/data
    mount -t tmpfs -o size=${diskMiB}m tmpfs /run/spoonbox-engine/data
    echo ready
    cat > /dev/null
  `;
  const flags = ['--mount', ...ownNetwork, '--pid', '--fork', '--kill-child', '--mount-proc'];
  const holder = spawn('unshare', [...flags, 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(holder, 'exit');
  const first = await Promise.race([once(createInterface({ input: holder.stdout }), 'line'), exited]);
  if (first[0] !== 'ready') throw new Error(`no namespaces could be made: unshare ended with ${String(first[0])}`);
  // The first process in there, as this side sees it.
  const children = await readFile(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8');
  const enter = ['--target', children.trim(), '--mount', ...ownNetwork, '--pid', '--'];
  return {
    enter,
    async shell(text) {
      return (await run('nsenter', [...enter, 'sh', '-c', text], { maxBuffer: shellOutputBytes })).stdout;
    },
    async close() {
      holder.stdin.end();
      await exited;
    },
  };
}

/** Carried over from the engine that all tests share: a hundredth of the box image's size, under its name. */
async function importSmallBox(to: Docker): Promise<void> {
  const from = await dockerodeAt(process.env.DOCKER_HOST ?? null);
  const [repo = '', tag = 'latest'] = boxImage.split(/:(?=[^/]*$)/);
  const imported = await to.importImage(Readable.from([await smallImage(from)]), { repo, tag });
  await buffer(imported);
}

function isInstalled(program: string): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return [...folders, '/usr/sbin', '/sbin'].some((folder) => existsSync(join(folder, program)));
}
