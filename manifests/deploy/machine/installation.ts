import { places, root } from './places.ts';
import { endProcess, isAlive } from './processes.ts';
import { readRecord, updateRecord } from './run-record.ts';
import type { ServiceSpec } from './service.ts';
import { readPort, type Settings } from './settings.ts';
import { step } from './steps.ts';
import { resolve } from 'node:path';

const leftoverGraceMs = 30_000;
const anyAddress = ['0.0.0.0', '::', '*'];

/** What the CLI reads to find this installation. */
export interface ClientFile {
  readonly server: string;
  readonly token: string;
  readonly gateway: string;
}

/** How the two processes are run, and how a client finds them. */
export function serviceSpecs(
  settings: Settings,
  secrets: Settings,
  redisUrl: string,
  verbose: boolean,
): { readonly controller: ServiceSpec; readonly gateway: ServiceSpec; readonly client: ClientFile } {
  const bind = settings.SPOON_BIND ?? '127.0.0.1';
  const host = anyAddress.includes(bind) ? '127.0.0.1' : bind.includes(':') ? `[${bind}]` : bind;
  const controllerAddress = `${host}:${readPort(settings, 'SPOON_CONTROLLER_PORT', 3922)}`;
  const gatewayAddress = `${host}:${readPort(settings, 'SPOON_GATEWAY_PORT', 3921)}`;
  // Redis's password reaches them inside the address only.
  const { REDIS_PASSWORD: _, ...forProcesses } = secrets;
  const env: Settings = {
    SPOON_AGENT_WORKDIR: resolve(root, places.work),
    ...forProcesses,
    ...settings,
    SPOON_REDIS_URL: redisUrl,
  };
  return {
    controller: {
      name: 'controller',
      script: 'controller/src/main.ts',
      address: `http://${controllerAddress}`,
      env,
      verbose,
    },
    gateway: { name: 'gateway', script: 'gateway/src/main.ts', address: `http://${gatewayAddress}`, env, verbose },
    client: {
      server: `http://${controllerAddress}`,
      token: env.SPOON_AGENT_WORKER_INTERNAL_TOKEN ?? '',
      gateway: `ws://${gatewayAddress}`,
    },
  };
}

/** Ends the processes that a killed `npm start` left: two of one kind under one starter would be one too many. */
export async function endLeftovers(signal: AbortSignal): Promise<void> {
  for (const name of ['controller', 'gateway'] as const) {
    const mark = readRecord()[name];
    if (isAlive(mark)) {
      await step(`Earlier ${name}`, async (s) => {
        s.progress(`pid ${mark.pid} was left by a start that was killed: ending it`);
        await endProcess(mark, leftoverGraceMs, signal);
        s.done(`pid ${mark.pid}, left by a start that was killed, has ended`);
      });
    }
    updateRecord({ [name]: undefined });
  }
}
