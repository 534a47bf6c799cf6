import { resolve } from 'node:path';
import { z } from 'zod';
import { fields } from '#shared/config.ts';
import { type EngineAddress, engineAddress } from '#shared/engine-address.ts';
import { exitConfig, StartError } from '#shared/faults.ts';
import type { InstallationId } from '#shared/identity.ts';
import { knownInstallation } from '#shared/installation.ts';

/** What a filter is told: no secret, and no Redis. */
export interface FilterSettings {
  readonly socket: string;
  readonly engine: EngineAddress;
  readonly installation: InstallationId;
  readonly logLevel: string;
  readonly drainMs: number;
}

const {
  SPOON_FILTER_SOCKET,
  DOCKER_HOST,
  SPOON_INSTALLATION_ID,
  SPOON_AGENT_WORKDIR,
  SPOON_LOG_LEVEL,
  SPOON_DRAIN_MS,
} = fields;
const schema = z.object({
  SPOON_FILTER_SOCKET: SPOON_FILTER_SOCKET.unwrap(),
  DOCKER_HOST,
  SPOON_INSTALLATION_ID,
  SPOON_AGENT_WORKDIR,
  SPOON_LOG_LEVEL,
  SPOON_DRAIN_MS,
});

/** Throws one StartError (exit 78) that names every problem. */
export function readFilterSettings(environment: Readonly<Record<string, string | undefined>>): FilterSettings {
  const parsed = schema.safeParse(Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== '')));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `  ${path.join('.')}: ${message}`);
    throw new StartError(`The configuration is refused:\n${problems.join('\n')}`, exitConfig);
  }
  const values = parsed.data;
  return {
    socket: values.SPOON_FILTER_SOCKET,
    engine: engineAddress(values.DOCKER_HOST ?? null),
    installation: knownInstallation(resolve(values.SPOON_AGENT_WORKDIR), values.SPOON_INSTALLATION_ID ?? null),
    logLevel: values.SPOON_LOG_LEVEL,
    drainMs: values.SPOON_DRAIN_MS,
  };
}
