import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const startWithinMs = 10_000;
const lookEveryMs = 20;

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Ends the server; its data stay for a `restart`. */
  stop(): Promise<void>;
  /** Stops it if it runs, and starts it again on the same port with the same data. */
  restart(): Promise<void>;
  /** Keeps a copy of its data for `restore`. */
  backUp(): Promise<void>;
  /** Stops it, and starts it again with the data of the last `backUp`, or with none. */
  restore(data: 'backup' | 'none'): Promise<void>;
  /** Ends the server as a crash would: nothing more is written. */
  kill(): Promise<void>;
  /** SIGSTOP, SIGCONT: it stands still, and wakes as if nothing had been. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Empties it. */
  flush(): Promise<void>;
  /** Ends the server and removes its data. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A real redis-server of its own, on a free port, with its data in a temporary directory. */
export async function startRedis(addresses: readonly string[] = ['127.0.0.1']): Promise<TestRedis> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), 'spoonbox-redis-'));
  const backup = `${dir}-backup`;
  let server: ChildProcess | null = await start(port, dir, addresses);

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = server;
    server = null;
    if (!running || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill(signal);
    await ended;
  }
  const stop = () => end('SIGTERM');

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    stop,
    kill: () => end('SIGKILL'),
    async restart() {
      await stop();
      server = await start(port, dir, addresses);
    },
    async backUp() {
      await rm(backup, { recursive: true, force: true });
      // What was acknowledged has been written; a half-written last command is cut off at the next start.
      await cp(dir, backup, { recursive: true });
    },
    async restore(data) {
      await stop();
      await rm(dir, { recursive: true });
      if (data === 'backup') await cp(backup, dir, { recursive: true });
      else await mkdir(dir);
      server = await start(port, dir, addresses);
    },
    signal(signal) {
      server?.kill(signal);
    },
    async flush() {
      const answer = await ask(port, 'FLUSHALL');
      if (!answer.startsWith('+OK')) throw new Error(`FLUSHALL was answered with ${answer}`);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      for (const folder of [dir, backup]) await rm(folder, { recursive: true, force: true });
    },
  };
}

async function start(port: number, dir: string, addresses: readonly string[]): Promise<ChildProcess> {
  const settings = ['--port', String(port), '--bind', ...addresses, '--dir', dir, '--save', '', '--appendonly', 'yes'];
  const server = spawn('redis-server', settings, { stdio: ['ignore', 'pipe', 'inherit'] });
  let failed: Error | null = null;
  let output = '';
  server.on('error', (error) => {
    failed = error;
  });
  // A test run that ends early leaves no server behind.
  const killed = (): boolean => server.kill('SIGKILL');
  process.once('exit', killed);
  server.once('exit', () => process.off('exit', killed));
  server.stdout.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4_000);
  });
  const giveUpAt = performance.now() + startWithinMs;
  while (performance.now() < giveUpAt) {
    if (failed) throw failed;
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}:\n${output}`);
    const answer = await ask(port, 'PING').catch(() => '');
    if (answer.startsWith('+PONG')) return server;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  server.kill('SIGKILL');
  throw new Error(`redis-server did not answer within ${startWithinMs} ms:\n${output}`);
}

/** One inline command, one line of answer. */
async function ask(port: number, command: string): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(`${command}\r\n`);
    const [data] = await once(socket, 'data');
    return String(data);
  } finally {
    socket.destroy();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  server.close();
  await once(server, 'close');
  return address.port;
}
