import { z } from 'zod';
import { EngineError } from '#shared/faults.ts';
import { type InstallationId, label, networkNameOf } from '#shared/identity.ts';
import { anyAnswer, type Engine } from './engine.ts';

const operation = 'ensureNetwork';
const Network = z.object({
  Id: z.string(),
  Name: z.string(),
  Created: z.string(),
  Labels: z.record(z.string(), z.string()).nullish(),
});
type Network = z.infer<typeof Network>;

/**
 * The bridge that boxes run on: outside access, none to each other. An engine may keep two networks of one name when two
 * controllers create at once (newer ones ignore CheckDuplicate); then all keep the oldest, and the others go.
 */
export async function ensureNetwork(engine: Engine, installation: InstallationId, signal: AbortSignal): Promise<void> {
  const name = networkNameOf(installation);
  if ((await settled(engine, installation, signal)) !== null) return;
  const body = {
    Name: name,
    Driver: 'bridge',
    CheckDuplicate: true,
    Options: { 'com.docker.network.bridge.enable_icc': 'false' },
    Labels: { [label.installation]: installation },
  };
  try {
    const request = { method: 'POST', path: '/networks/create', body } as const;
    await engine.ask(operation, request, anyAnswer, engine.timeouts.changeMs, signal);
  } catch (error) {
    if (!isFault(error, 409)) throw error;
  }
  if ((await settled(engine, installation, signal)) !== null) return;
  throw new EngineError({
    operation,
    kind: 'not-found',
    status: null,
    message: `the network ${name} was removed while it was being made`,
  });
}

/** Our network's id, after what is too many was removed; null when there is none. */
async function settled(engine: Engine, installation: InstallationId, signal: AbortSignal): Promise<string | null> {
  const name = networkNameOf(installation);
  const query = { filters: JSON.stringify({ name: [name] }) };
  const request = { method: 'GET', path: '/networks', query } as const;
  const found = await engine.ask(operation, request, z.array(Network), engine.timeouts.readMs, signal);
  // The engine's filter finds names that contain ours, too.
  const named = found.filter((network) => network.Name === name);
  const foreign = named.find((network) => network.Labels?.[label.installation] !== installation);
  if (foreign) {
    throw new EngineError({
      operation,
      kind: 'conflict',
      status: null,
      message: `a network ${name} is there that is not this installation's (id ${foreign.Id}): remove it`,
    });
  }
  const [oldest, ...others] = named.toSorted(olderFirst);
  for (const network of others) await removeUnused(engine, network, signal);
  return oldest?.Id ?? null;
}

async function removeUnused(engine: Engine, network: Network, signal: AbortSignal): Promise<void> {
  try {
    const request = { method: 'DELETE', path: `/networks/${network.Id}` } as const;
    await engine.ask(operation, request, anyAnswer, engine.timeouts.changeMs, signal);
  } catch (error) {
    // 403: a container is on it; 404: another controller was first; 409: going, or in use.
    if (!isFault(error, 403, 404, 409)) throw error;
  }
}

/** The same order for every controller is what counts. */
function olderFirst(one: Network, other: Network): number {
  const [oneKey, otherKey] = [`${one.Created} ${one.Id}`, `${other.Created} ${other.Id}`];
  return oneKey < otherKey ? -1 : 1;
}

function isFault(error: unknown, ...statuses: number[]): boolean {
  return error instanceof EngineError && error.fault.status !== null && statuses.includes(error.fault.status);
}
