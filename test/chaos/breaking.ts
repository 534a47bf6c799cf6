import { setTimeout as wait } from 'node:timers/promises';
import { label } from '#shared/identity.ts';
import type { Random } from '../sim/random.ts';
import type { History } from './history.ts';
import type { Installation } from './installation.ts';
import type { Part } from './part.ts';
import type { Telling } from './telling.ts';
import { cut, type Direction, isWire, mend, wires } from './wires.ts';

/** What a breaking acts on: two that act on the same are never at once. */
type Realm = 'controllers' | 'gateways' | 'clients' | 'redis' | 'engine' | 'wires' | 'boxes';

export interface Breaking {
  readonly kind: string;
  readonly realm: Realm;
  /** Breaks, waits, and puts it right again. `begin` is told what it touches just before. */
  readonly run: (world: World, random: Random, begin: (touches: readonly string[]) => void) => Promise<void>;
}

export interface World extends Installation {
  readonly crowds: readonly Part[];
  readonly history: History;
  readonly hands: Hands;
  /** takes down what somebody saw */
  readonly hear: (telling: Telling) => void;
}

/** What was done to boxes and to the engine on purpose. */
export interface Hands {
  /** containers that were killed or removed */
  readonly killed: Set<string>;
  /** times in which every container of the engine may have ended */
  readonly engineLost: { readonly fromMs: number; untilMs: number | null }[];
  /** the engine that runs was started with live restore */
  liveRestore: boolean;
}

/** Mostly seconds, sometimes up to a minute. */
function howLong(random: Random): number {
  if (random.chance(0.55)) return random.int(1_000, 8_000);
  return random.chance(0.7) ? random.int(8_000, 25_000) : random.int(25_000, 60_000);
}

const short = (random: Random): number => random.int(200, 5_000);

function processBreakings(
  name: 'controller' | 'gateway' | 'clients',
  realm: Realm,
  of: (world: World) => readonly Part[],
): Breaking[] {
  const touched = (part: Part): string[] => [part.name, ...(name === 'clients' ? ['clients'] : [])];
  return [
    {
      kind: `kill ${name}`,
      realm,
      async run(world, random, begin) {
        const part = random.pick(of(world));
        begin(touched(part));
        await part.kill();
        await wait(short(random));
        part.start();
      },
    },
    {
      kind: `stall ${name}`,
      realm,
      async run(world, random, begin) {
        const part = random.pick(of(world));
        begin(touched(part));
        part.signal('SIGSTOP');
        await wait(howLong(random));
        part.signal('SIGCONT');
      },
    },
  ];
}

function restart(name: 'controller' | 'gateway', realm: Realm, of: (world: World) => readonly Part[]): Breaking {
  return {
    kind: `restart ${name}`,
    realm,
    async run(world, random, begin) {
      const part = random.pick(of(world));
      begin([part.name]);
      const code = await part.stop();
      if (code === 0) world.history.checked('a process that is told to stop ends by itself, with exit code 0');
      else world.history.noted(`${name} was told to stop, and ended with ${code ?? 'SIGKILL'}`);
      await wait(short(random));
      part.start();
    },
  };
}

function cutOf(name: string, matches: RegExp): Breaking {
  return {
    kind: `cut ${name}`,
    realm: 'wires',
    async run(_world, random, begin) {
      const wire = random.pick(
        Object.keys(wires)
          .filter(isWire)
          .filter((each) => matches.test(each)),
      );
      const direction: Direction = random.chance(0.6) ? 'both' : random.pick(['there', 'back'] as const);
      begin([wire]);
      await cut(wire, direction);
      await wait(howLong(random));
      await mend(wire, direction);
    },
  };
}

function engineEnds(how: 'stop' | 'kill', next: 'live' | 'plain'): Breaking {
  return {
    kind: `${how} engine, start it ${next === 'live' ? 'with' : 'without'} live restore`,
    realm: 'engine',
    async run({ engine, hands }, random, begin) {
      begin(['engine']);
      // Stopped: what it was started with decides. Killed: what it is started with next.
      const survives = how === 'stop' ? hands.liveRestore && next === 'live' : next === 'live';
      const lost: Hands['engineLost'][number] = { fromMs: Date.now(), untilMs: null };
      if (!survives) hands.engineLost.push(lost);
      await (how === 'stop' ? engine.stop() : engine.kill());
      await wait(short(random));
      await engine.start({ liveRestore: next === 'live' });
      hands.liveRestore = next === 'live';
      lost.untilMs = Date.now();
    },
  };
}

const boxBreakings: Breaking[] = (['kill', 'remove'] as const).map((how) => ({
  kind: `${how} box`,
  realm: 'boxes',
  async run({ docker, hands }, random, begin) {
    const boxes = await docker.listContainers({ filters: { label: [`${label.role}=box`] } }).catch(() => []);
    begin(['boxes']);
    if (boxes.length === 0) return;
    const { Id } = random.pick(boxes);
    hands.killed.add(Id);
    const box = docker.getContainer(Id);
    // It may have gone by itself meanwhile.
    await (how === 'kill' ? box.kill() : box.remove({ force: true })).catch(() => {});
  },
}));

const redisBreakings: Breaking[] = [
  {
    kind: 'restart redis',
    realm: 'redis',
    async run({ redis }, random, begin) {
      begin(['redis']);
      await redis.stop();
      await wait(short(random));
      await redis.restart();
    },
  },
  {
    kind: 'kill redis',
    realm: 'redis',
    async run({ redis }, random, begin) {
      begin(['redis']);
      await redis.kill();
      await wait(short(random));
      await redis.restart();
    },
  },
  {
    kind: 'stall redis',
    realm: 'redis',
    async run({ redis }, random, begin) {
      begin(['redis']);
      redis.signal('SIGSTOP');
      await wait(howLong(random));
      redis.signal('SIGCONT');
    },
  },
  {
    kind: 'kill redis behind a cut',
    realm: 'redis',
    // Its clients hear nothing of its end: their connections stand, to nobody.
    async run({ redis }, random, begin) {
      const all = Object.keys(wires)
        .filter(isWire)
        .filter((wire) => wire.endsWith('redis'));
      begin(['redis', ...all]);
      for (const wire of all) await cut(wire, 'both');
      await redis.kill();
      await redis.restart();
      await wait(howLong(random));
      for (const wire of all) await mend(wire, 'both');
    },
  },
];

const engineStall: Breaking = {
  kind: 'stall engine',
  realm: 'engine',
  async run({ engine }, random, begin) {
    begin(['engine']);
    await engine.freeze();
    await wait(howLong(random));
    await engine.thaw();
  },
};

export const breakings: readonly Breaking[] = [
  ...processBreakings('controller', 'controllers', (world) => world.controllers),
  restart('controller', 'controllers', (world) => world.controllers),
  ...processBreakings('gateway', 'gateways', (world) => world.gateways),
  restart('gateway', 'gateways', (world) => world.gateways),
  ...processBreakings('clients', 'clients', (world) => world.crowds),
  ...redisBreakings,
  engineEnds('stop', 'plain'),
  engineEnds('stop', 'live'),
  engineEnds('kill', 'plain'),
  engineEnds('kill', 'live'),
  engineStall,
  cutOf('controller – redis', /^controller-\d to redis$/),
  cutOf('gateway – redis', /^gateway-\d to redis$/),
  cutOf('controller – engine', /^controller-\d to engine$/),
  cutOf('gateway – engine', /^gateway-\d to engine$/),
  cutOf('client – gateway', /^clients to gateway-\d$/),
  cutOf('client – controller', /^clients to controller-\d$/),
  ...boxBreakings,
];
