import { z } from 'zod';
import { EngineError } from '#shared/faults.ts';
import type { Engine } from './engine.ts';
import type { ContainerUsage } from './port.ts';

/** `GET /containers/{id}/stats`. Of a container that does not run the engine answers zeros, and no time. */
const Stats = z.object({
  read: z.string(),
  pids_stats: z.object({ current: z.number().optional() }),
  cpu_stats: z.object({ cpu_usage: z.object({ total_usage: z.number() }) }),
  memory_stats: z.object({
    usage: z.number().optional(),
    limit: z.number().optional(),
    stats: z.record(z.string(), z.unknown()).optional(),
  }),
});

/** One reading, at once: without `one-shot` the engine would take a second one first, for a difference of its own. */
export async function readStats(engine: Engine, id: string, signal: AbortSignal): Promise<ContainerUsage> {
  const operation = 'stats';
  const query = { stream: false, 'one-shot': true };
  const request = { method: 'GET', path: `/containers/${id}/stats`, query } as const;
  const { read, pids_stats, cpu_stats, memory_stats } = await engine.ask(
    operation,
    request,
    Stats,
    engine.timeouts.readMs,
    signal,
  );
  const readAtMs = Date.parse(read);
  const { usage, limit = 0, stats = {} } = memory_stats;
  if (!(readAtMs > 0) || usage === undefined) {
    throw new EngineError({ operation, kind: 'conflict', status: null, message: `container ${id} does not run` });
  }
  return {
    readAtMs,
    cpuNs: cpu_stats.cpu_usage.total_usage,
    memoryBytes: Math.max(0, usage - inactiveFile(stats)),
    memoryLimitBytes: limit,
    pids: pids_stats.current ?? 0,
  };
}

/** The page cache that the kernel takes back first: cgroup v2 names it so, v1 counts it with that of the groups below. */
function inactiveFile(stats: Readonly<Record<string, unknown>>): number {
  const bytes = stats.total_inactive_file ?? stats.inactive_file;
  return typeof bytes === 'number' ? bytes : 0;
}
