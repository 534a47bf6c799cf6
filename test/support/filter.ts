import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../../gateway/filter/src/engine.ts';
import { createFilter, type Filter } from '../../gateway/filter/src/filter.ts';
import { defaultFilterLimits, type FilterLimits } from '../../gateway/filter/src/limits.ts';
import { systemClock } from '#shared/clock.ts';
import { engineAddress } from '#shared/engine-address.ts';
import type { InstallationId } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';

export interface TestFilter {
  readonly filter: Filter;
  /** path of its socket */
  readonly socket: string;
  /** the same in the form of DOCKER_HOST */
  readonly address: string;
  /** its log, line by line */
  readonly lines: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** A filter in this process, in front of the engine at `dockerHost` or of the one that all tests share. */
export async function startFilter(
  installation: InstallationId,
  options: { dockerHost?: string; limits?: Partial<FilterLimits> } = {},
): Promise<TestFilter> {
  const folder = await mkdtemp(join(tmpdir(), 'spoonbox-filter-'));
  const socket = join(folder, 'docker.sock');
  const lines: string[] = [];
  const log = createLogger({ name: 'filter', level: 'debug', destination: { write: (line) => void lines.push(line) } });
  const limits = { ...defaultFilterLimits, ...options.limits };
  const engine = createEngine(engineAddress(options.dockerHost ?? process.env.DOCKER_HOST ?? null), limits);
  const filter = createFilter({ engine, installation, clock: systemClock, log, limits });
  await filter.listen(socket);
  return {
    filter,
    socket,
    address: `unix://${socket}`,
    lines,
    async [Symbol.asyncDispose]() {
      await filter.drain(0);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
