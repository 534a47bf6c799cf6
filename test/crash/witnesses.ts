import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UserName } from '#shared/identity.ts';
import { trusted } from '../e2e/fault-world.ts';
import { until } from '../e2e/installation.ts';
import { type CrashWorld, note, openCrashWorld } from './crash-world.ts';
import type { Supplies } from './supplies.ts';

const dayMs = 86_400_000;
const boxUid = 1000;
/** As the sweep has it: a helper that is older was left behind. */
const helperMaxAgeS = 600;
const sweepEveryS = 60;

/** Who must notice nothing of all the deaths in a world. */
export interface Witnesses {
  /** whose box is held for the whole time */
  readonly users: readonly UserName[];
  /** by what they are called: a container, and since when it runs */
  readonly containers: ReadonlyMap<string, { readonly id: string; readonly startedAt: string }>;
}

export const noWitnesses: Witnesses = { users: [], containers: new Map() };

/** A world with a controller in it, that has somebody's box to keep, and somebody else's container to leave alone. */
export async function openWitnessedWorld(supplies: Supplies): Promise<{ world: CrashWorld; witnesses: Witnesses }> {
  const world = await openCrashWorld(supplies);
  try {
    await world.start();
    await world.life().converged();
    return { world, witnesses: await callWitnesses(world) };
  } catch (error) {
    await world.close([]);
    throw error;
  }
}

async function callWitnesses(world: CrashWorld): Promise<Witnesses> {
  const user = world.newUser('bystander');
  await world.makeHome(user);
  const body = { kind: 'pin', holder: 'test', ttlMs: dayMs, class: 'tiny' };
  await world.ask('PUT', `/v1/boxes/${user}/leases/pin`, body);
  const id = await until('the bystander has a box', async () => {
    const box = await world.box(user);
    return box?.ready ? box.containerId : null;
  });
  // Before that, a box that nobody holds would be granted minutes.
  await trusted(world.life());
  const foreign = await world.createForeign(world.newUser('stranger'));
  const containers = new Map([
    ['the bystander', { id, startedAt: await world.startedAt(id) }],
    ['a foreign container', { id: foreign, startedAt: await world.startedAt(foreign) }],
  ]);
  return { users: [user], containers };
}

/** What must be so at every moment, and after every crash; answers what is not. */
export async function lookAround(
  world: CrashWorld,
  witnesses: Witnesses,
  user: UserName,
  home: 'kept' | 'made',
): Promise<string[]> {
  const wrong: string[] = [];
  const networks = await world.networks();
  if (networks !== 1) wrong.push(`${networks} networks of the installation's name`);
  const stat = await lstat(world.homeOf(user)).catch(() => null);
  if (!stat?.isDirectory() || stat.uid !== boxUid) wrong.push(`the home is gone, or belongs to ${stat?.uid}`);
  const content = await readFile(join(world.homeOf(user), 'note'), 'utf8').catch(() => '');
  if (home === 'kept' && content !== note) wrong.push('what was in the home is gone');
  for (const ageS of await world.helperAgesS()) {
    if (ageS > helperMaxAgeS + sweepEveryS) wrong.push(`a helper container is ${ageS} s old`);
  }
  for (const [who, { id, startedAt }] of witnesses.containers) {
    const now = await world.startedAt(id).catch((error: unknown) => String(error));
    if (now !== startedAt) wrong.push(`${who} was touched: ${now} in place of ${startedAt}`);
  }
  return wrong;
}
