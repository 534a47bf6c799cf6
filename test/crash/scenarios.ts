import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BoxView } from '#shared/api-schemas.ts';
import { boxNameOf, type UserName } from '#shared/identity.ts';
import { until } from '../e2e/installation.ts';
import type { CrashWorld } from './crash-world.ts';
import { startUp } from './request-failpoints.ts';
import type { Witnesses } from './witnesses.ts';

/** One user of one world, and what was seen of the box before the story began. */
export interface Stage {
  readonly world: CrashWorld;
  readonly witnesses: Witnesses;
  readonly user: UserName;
  before: { id: string; startedAt: string };
}

/** One story of a box, in which the controller dies: how it begins, what sets it off, and how it must end. */
export interface Scenario {
  readonly id: string;
  readonly name: string;
  readonly home: 'kept' | 'made';
  /** failpoints that are about no user, and belong to this story */
  readonly globals: readonly string[];
  /** the story is a start of the controller: `fresh` where the engine knows nothing of the installation yet */
  readonly start: 'none' | 'again' | 'fresh';
  /** its start looks whether the work directory is the engine's */
  readonly verifies: boolean;
  /** all else is died at in other stories */
  readonly onlyGlobals: boolean;
  prepare(stage: Stage): Promise<void>;
  /** Its requests are sent again by themselves where the controller dies under them. */
  act(stage: Stage): Promise<void>;
  /** What is not yet as it must end; '' = it is. */
  missing(stage: Stage): Promise<string>;
}

const fromTheVault = 'put while the box ran';

const plain = { home: 'kept', globals: [], start: 'none', verifies: false, onlyGlobals: false } as const;

export const scenarios: readonly Scenario[] = [
  {
    ...plain,
    id: 'first',
    name: 'the first lease: an image is pulled, a home is made',
    home: 'made',
    globals: ['image', 'pull'],
    prepare: ({ world }) => world.removePulledImage(),
    act: (stage) => take(stage, 'pulled'),
    missing: oneReadyBox,
  },
  {
    ...plain,
    id: 'lease',
    name: 'a lease, with all that a box needs',
    prepare: nothing,
    act: (stage) => take(stage),
    missing: oneReadyBox,
  },
  {
    ...plain,
    id: 'renamed',
    name: 'a box is renamed by hand',
    prepare: (stage) => haveBox(stage),
    act: ({ world, user, before }) => world.hands.rename(before.id, `mine-${user}`),
    missing: sameReadyBox,
  },
  {
    ...plain,
    id: 'paused',
    name: 'a box is paused under a lease',
    prepare: (stage) => haveBox(stage),
    act: ({ world, before }) => world.hands.pause(before.id),
    missing: sameReadyBox,
  },
  {
    ...plain,
    id: 'twin',
    name: 'a second container of ours appears',
    prepare: (stage) => haveBox(stage),
    act: ({ world, user, before }) => world.createTwin(user, before.id),
    missing: sameReadyBox,
  },
  {
    ...plain,
    id: 'killed',
    name: 'a box is killed under a lease',
    prepare: (stage) => haveBox(stage),
    act: ({ world, before }) => world.hands.kill(before.id),
    missing: async (stage) => {
      const { world, before } = stage;
      const startedAt = await world.startedAt(before.id).catch(() => '');
      return startedAt === before.startedAt ? 'it was not killed yet' : oneReadyBox(stage);
    },
  },
  {
    ...plain,
    id: 'reap',
    name: 'an operator reaps a box',
    prepare: (stage) => haveBox(stage),
    act: (stage) => action(stage, { action: 'reap' }),
    missing: noBox,
  },
  {
    ...plain,
    id: 'recreate',
    name: 'an operator has a box made anew',
    prepare: (stage) => haveBox(stage),
    act: (stage) => action(stage, { action: 'recreate' }),
    missing: otherReadyBox,
  },
  {
    ...plain,
    id: 'delete',
    name: 'a box is deleted',
    prepare: (stage) => haveBox(stage),
    act: remove,
    missing: async (stage) => {
      if ((await stage.world.box(stage.user)) !== null) return 'the user is still known';
      return (await stage.world.containers(stage.user)).length > 0 ? 'a container is left' : '';
    },
  },
  {
    ...plain,
    id: 'idle',
    name: 'a box is idle for long enough',
    prepare: (stage) => haveBox(stage, 'brief'),
    async act({ world, user }) {
      const { status, json } = await world.ask('DELETE', `/v1/boxes/${user}/leases/job`);
      mustBe([200], status, json);
    },
    missing: noBox,
  },
  {
    ...plain,
    id: 'adopt',
    name: 'a foreign container is adopted',
    async prepare(stage) {
      const { world, user } = stage;
      const id = await world.createForeign(user);
      await take(stage);
      await until('its name is taken', async () => (await world.box(user))?.phase === 'failed');
      stage.before = { id, startedAt: '' };
    },
    act: (stage) => action(stage, { action: 'adopt', containerId: stage.before.id }),
    missing: otherReadyBox,
  },
  {
    ...plain,
    id: 'vault',
    name: 'something is put into the vault of a box that runs',
    prepare: (stage) => haveBox(stage),
    act: ({ world, user }) => world.putInVault(user, '.from-the-vault', fromTheVault),
    async missing(stage) {
      const missing = await sameReadyBox(stage);
      if (missing !== '') return missing;
      const path = join(stage.world.homeOf(stage.user), '.from-the-vault');
      const text = await readFile(path, 'utf8').catch(String);
      return text === fromTheVault ? '' : `the home has not what the vault has: ${text}`;
    },
  },
  {
    ...plain,
    id: 'again',
    name: 'the controller is started again, with a box',
    globals: ['list', 'image', 'ensureNetwork', 'removeLeftHelpers'],
    start: 'again',
    prepare: (stage) => haveBox(stage),
    act: nothing,
    missing: sameReadyBox,
  },
  {
    ...plain,
    id: 'fresh',
    name: 'the controller is started for the first time',
    globals: ['list', 'ensureNetwork', 'removeLeftHelpers'],
    start: 'fresh',
    onlyGlobals: true,
    prepare: nothing,
    act: (stage) => take(stage),
    missing: oneReadyBox,
  },
  {
    ...plain,
    id: 'verified',
    name: 'the controller verifies its work directory',
    globals: [startUp],
    start: 'again',
    verifies: true,
    onlyGlobals: true,
    prepare: (stage) => haveBox(stage),
    act: nothing,
    missing: sameReadyBox,
  },
];

async function nothing(): Promise<void> {}

async function take({ world, user }: Stage, className = 'tiny'): Promise<void> {
  const body = { kind: 'job', holder: 'test', ttlMs: 300_000, class: className };
  const { status, json } = await world.ask('PUT', `/v1/boxes/${user}/leases/job?waitMs=0`, body);
  mustBe([200, 201, 202], status, json);
}

async function action({ world, user }: Stage, body: object): Promise<void> {
  const { status, json } = await world.ask('POST', `/v1/boxes/${user}/actions`, body);
  mustBe([202], status, json);
}

/** Asked for again after a crash, it may be done already. */
export async function remove({ world, user }: Stage): Promise<void> {
  const { status, json } = await world.ask('DELETE', `/v1/boxes/${user}`);
  mustBe([202, 404], status, json);
}

async function haveBox(stage: Stage, className = 'tiny'): Promise<void> {
  const { world, user } = stage;
  await take(stage, className);
  const id = await until(`${user} has a box`, async () => {
    const box = await world.box(user);
    return box?.ready ? box.containerId : null;
  });
  stage.before = { id, startedAt: await world.startedAt(id) };
}

/** Both sides are asked: the status alone may be that of before the crash. */
async function oneReadyBox({ world, user }: Stage): Promise<string> {
  const box = await world.box(user);
  const containers = await world.containers(user);
  if (!isReady(box)) return `it is not ready: ${JSON.stringify(box)}`;
  const [only] = containers;
  const isIt = only?.id === box.containerId && only.state === 'running' && only.name === boxNameOf(user);
  return isIt && containers.length === 1 ? '' : `its containers: ${JSON.stringify(containers)}`;
}

async function sameReadyBox(stage: Stage): Promise<string> {
  const missing = await oneReadyBox(stage);
  if (missing !== '') return missing;
  const { world, user, before } = stage;
  const id = (await world.box(user))?.containerId;
  if (id !== before.id) return `it is another container: ${id} in place of ${before.id}`;
  const startedAt = await world.startedAt(before.id);
  return startedAt === before.startedAt ? '' : `it was restarted at ${startedAt}`;
}

async function otherReadyBox(stage: Stage): Promise<string> {
  const missing = await oneReadyBox(stage);
  if (missing !== '') return missing;
  const id = (await stage.world.box(stage.user))?.containerId;
  return id === stage.before.id ? 'it is still the old container' : '';
}

async function noBox({ world, user }: Stage): Promise<string> {
  const box = await world.box(user);
  if (box === null || box.phase !== 'absent') return `it is not absent: ${JSON.stringify(box)}`;
  const containers = await world.containers(user);
  return containers.length === 0 ? '' : `its containers: ${JSON.stringify(containers)}`;
}

function isReady(box: BoxView | null): box is BoxView {
  return box?.ready === true;
}

function mustBe(allowed: readonly number[], status: number, json: unknown): void {
  if (!allowed.includes(status)) throw new Error(`answered with ${status}: ${JSON.stringify(json)}`);
}
