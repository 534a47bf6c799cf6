import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { z } from 'zod';
import { nodeFlags } from '#shared/node-flags.ts';

/** What passes between a benchmark and the process of `api-server.ts`. */

const program = new URL('./api-server.ts', import.meta.url).pathname;

export const ServerSettings = z.object({
  redisUrl: z.string(),
  installation: z.string(),
  token: z.string(),
  bareAnswer: z.unknown(),
});
export type ServerSettings = z.infer<typeof ServerSettings>;

export const ServerPorts = z.object({ apiUrl: z.string(), bareUrl: z.string() });
export type ServerPorts = z.infer<typeof ServerPorts>;

export interface ApiServer extends ServerPorts, AsyncDisposable {
  readonly pid: number;
}

export async function startApiServer(settings: ServerSettings): Promise<ApiServer> {
  const flags = [
    ...nodeFlags,
    ...(process.env.BENCH_CPU_PROF ? ['--cpu-prof', '--cpu-prof-dir', process.env.BENCH_CPU_PROF] : []),
  ];
  const child: ChildProcess = fork(program, [JSON.stringify(settings)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: flags,
  });
  const ended = once(child, 'exit').then(([code]): never => {
    throw new Error(`the process with the API ended with ${String(code)}`);
  });
  const [message] = await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => {});
  return {
    ...ServerPorts.parse(message),
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}
