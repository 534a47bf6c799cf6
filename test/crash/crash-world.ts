import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { BoxView } from '#shared/api-schemas.ts';
import { boxNameOf, label, UserName } from '#shared/identity.ts';
import { classesFolder } from '../e2e/fault-world.ts';
import { until } from '../e2e/installation.ts';
import { type ControllerProcess, createControllerWorld } from '../support/controller-process.ts';
import { type Hands, handsOf } from '../support/docker.ts';
import { encryptionKey, vaultsOf } from '../support/vault-of.ts';
import { createTestRegistry } from '../support/registry.ts';
import { journalVariable, type Order, ordersVariable, type Passing, readPassings, writeOrders } from './orders.ts';
import { failpointMain, type Supplies } from './supplies.ts';

const answerWithinMs = 60_000;
const askAgainMs = 50;
const leaderTtlMs = 2_000;

export const note = 'written before the crash';

export interface Container {
  readonly id: string;
  readonly name: string;
  readonly state: string;
}

/** One installation whose controller dies again and again, with people who must notice nothing of it. */
export interface CrashWorld {
  readonly hands: Hands;
  /** what the class `pulled` is made from; no image of this name is there, at first */
  readonly pulledImage: string;
  newUser(name: string): UserName;
  makeHome(user: UserName): Promise<void>;
  /** The controller that runs, or ran last. */
  life(): ControllerProcess;
  /** Starts a controller; the next one of this world. With `verifies`, it looks first whether its work directory is the engine's. */
  start(verifies?: boolean): Promise<ControllerProcess>;
  kill(): Promise<void>;
  order(orders: readonly Order[]): void;
  passings(): Passing[];
  /** Asks again while nobody answers, as a client does whose server is being restarted. */
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }>;
  /** null = nothing is known of this user */
  box(user: UserName): Promise<BoxView | null>;
  containers(user: UserName): Promise<Container[]>;
  container(
    id: string,
  ): ReturnType<Awaited<ReturnType<typeof createControllerWorld>>['docker']['docker']['getContainer']>;
  startedAt(id: string): Promise<string>;
  createTwin(user: UserName, id: string): Promise<void>;
  createForeign(user: UserName): Promise<string>;
  removePulledImage(): Promise<void>;
  homeOf(user: UserName): string;
  putInVault(user: UserName, path: string, text: string): Promise<void>;
  networks(): Promise<number>;
  /** seconds since each helper container that is there was made */
  helperAgesS(): Promise<number[]>;
  /** Ends all. Answers who is still known though all but `spared` were deleted, and what errors controllers told of. */
  close(spared: readonly UserName[]): Promise<string[]>;
}

export async function openCrashWorld(supplies: Supplies): Promise<CrashWorld> {
  const registry = await createTestRegistry({ tar: supplies.variant(), msPerChunk: 1 });
  const world = await createControllerWorld(undefined, failpointMain);
  const { docker, installation, workdir } = world.docker;
  const hands = handsOf(world.docker);
  const orders = join(workdir, 'orders.json');
  const journal = join(workdir, 'passings.jsonl');
  const pulledImage = registry.reference.replace(/slow:1$/, `crash-${installation}:1`);
  const classes = await classesFolder(join(workdir, 'classes'), {
    tiny: { image: supplies.image },
    pulled: { image: pulledImage },
    brief: { idle: { detached: '1s', attached: '8h' }, image: supplies.image },
  });
  const settings = {
    SPOON_CLASSES: classes,
    SPOON_ENCRYPTION_KEY: encryptionKey,
    // Absent: a start that finds no default image does without its look at the work directory, and is twice as quick.
    SPOON_BOX_IMAGE: `spoonbox-test/no-image-${installation}:1`,
    SPOON_LEADER_TTL_MS: String(leaderTtlMs),
    SPOON_RESYNC_MS: '1000',
    [ordersVariable]: orders,
    [journalVariable]: journal,
  };
  const lives: ControllerProcess[] = [];
  const own = vaultsOf({ redisUrl: world.redis.url, installation });
  const homeOf = (user: UserName): string => join(workdir, 'homes', user);

  const self: CrashWorld = {
    hands,
    pulledImage,
    newUser: (name) => UserName.parse(`${name}-${randomBytes(4).toString('hex')}`),
    async makeHome(user) {
      await world.makeHome(user);
      await writeFile(join(homeOf(user), 'note'), note);
    },
    life() {
      const last = lives.at(-1);
      if (last === undefined) throw new Error('no controller was started yet');
      return last;
    },
    async start(verifies = false) {
      const image = verifies ? supplies.image : settings.SPOON_BOX_IMAGE;
      const started = await world.startController({ ...settings, SPOON_BOX_IMAGE: image });
      lives.push(started);
      return started;
    },
    kill: () => self.life().kill(),
    order: (given) => writeOrders(orders, given),
    passings: () => readPassings(journal),
    async ask(method, path, body) {
      const giveUpAt = performance.now() + answerWithinMs;
      for (;;) {
        const answer = await self
          .life()
          .ask(method, path, body)
          .catch(() => null);
        if (answer !== null && answer.status !== 503) return answer;
        if (performance.now() > giveUpAt) throw new Error(`no answer to ${method} ${path}: ${JSON.stringify(answer)}`);
        await wait(askAgainMs);
      }
    },
    async box(user) {
      const { status, json } = await self.ask('GET', `/v1/boxes/${user}`);
      return status === 404 ? null : BoxView.parse(json);
    },
    async containers(user) {
      const all = await docker.listContainers({ all: true });
      return all
        .filter(({ Names, Labels }) => {
          const isOurs = Labels[label.installation] === installation && Labels[label.user] === user;
          return isOurs || Names.includes(`/${boxNameOf(user)}`);
        })
        .map(({ Id, Names, State }) => ({ id: Id, name: (Names[0] ?? '').slice(1), state: State }));
    },
    container: (id) => docker.getContainer(id),
    async startedAt(id) {
      return (await docker.getContainer(id).inspect()).State.StartedAt;
    },
    async createTwin(user, id) {
      const { Config, HostConfig } = await docker.getContainer(id).inspect();
      const twin = await docker.createContainer({ ...Config, HostConfig, name: `twin-of-${user}` });
      // It may have been found, and be gone, before it runs.
      await twin.start().catch((error: unknown) => {
        if (!/No such container|marked for removal/.test(String(error))) throw error;
      });
    },
    async createForeign(user) {
      const container = await docker.createContainer({
        name: boxNameOf(user),
        Image: supplies.image,
        Entrypoint: ['sleep', '86400'],
        Labels: { 'dev.spoonbox.test': installation },
        HostConfig: { Init: true },
      });
      await container.start();
      return container.id;
    },
    async removePulledImage() {
      await until('the pulled image is removed', async () => {
        try {
          await docker.getImage(pulledImage).remove({ force: true });
          return true;
        } catch (error) {
          return String(error).includes('No such image');
        }
      });
    },
    homeOf,
    putInVault: (user, path, text) => own.put(user, path, text),
    networks: async () => (await world.docker.networks()).length,
    async helperAgesS() {
      const labels = [`${label.installation}=${installation}`, `${label.role}=helper`];
      const helpers = await docker.listContainers({ all: true, filters: { label: labels } });
      return helpers.map(({ Created }) => Date.now() / 1000 - Created);
    },
    async close(spared) {
      self.order([]);
      const wrong: string[] = [];
      try {
        if (lives.length > 0) {
          await until('every deleted user is forgotten', async () => {
            const { json } = await self.ask('GET', '/v1/boxes');
            return BoxNames.parse(json).items.every(({ user }) => spared.includes(user));
          }).catch((error: unknown) => wrong.push(String(error)));
          await self.life().stop();
        }
        for (const line of lives.flatMap(({ lines }) => lines)) {
          if (!line.startsWith('{') || /"level":"(error|fatal)"/.test(line)) wrong.push(`a controller said: ${line}`);
        }
      } finally {
        await own[Symbol.asyncDispose]();
        await world[Symbol.asyncDispose]();
        await self.removePulledImage();
        await registry.close();
      }
      return wrong;
    },
  };

  return self;
}

const BoxNames = z.object({ items: z.array(z.object({ user: UserName })) });
