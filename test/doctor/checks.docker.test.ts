import { createServer } from 'node:http';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Limits, noLimits } from '#shared/config.ts';
import { keysOf, UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { engineClockCheck, redisClockCheck } from '../../controller/src/doctor/clocks.ts';
import { engineCheck } from '../../controller/src/doctor/engine.ts';
import { createDoctor } from '../../controller/src/doctor/examine.ts';
import { homesCheck } from '../../controller/src/doctor/homes.ts';
import { gatewaysCheck } from '../../controller/src/doctor/gateways.ts';
import { imagesCheck } from '../../controller/src/doctor/images.ts';
import { leftoversCheck } from '../../controller/src/doctor/leftovers.ts';
import { memoryCheck } from '../../controller/src/doctor/memory.ts';
import { redisCheck } from '../../controller/src/doctor/redis.ts';
import { terminalSecretCheck } from '../../controller/src/doctor/secrets.ts';
import { tellAtStart } from '../../controller/src/doctor/tell-at-start.ts';
import { vaultCheck } from '../../controller/src/doctor/vault.ts';
import { workdirCheck } from '../../controller/src/doctor/workdir.ts';
import { connectHostEngine } from '../../controller/src/runtime/host-engine.ts';
import { boxImage, handsOf } from '../support/docker.ts';
import { portOf } from '../support/registry.ts';
import { classesWith, createDoctorWorld, type DoctorWorld, lineOf, never } from './doctor-world.ts';

let world: DoctorWorld;
beforeAll(async () => {
  world = await createDoctorWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** On the world's engine, with another work directory or socket. */
function connectWith(changes: { dockerHost?: string; hostWorkdir?: string }) {
  const { installation, workdir } = world.docker;
  const log = createLogger({ name: 'test', level: 'silent' });
  const dockerHost = process.env.DOCKER_HOST ?? null;
  return () => connectHostEngine({ dockerHost, installation, workdir, hostWorkdir: workdir, log, ...changes });
}

test('an installation with which nothing is wrong has no failure, and every check says something', async () => {
  await world.gateway();
  const report = await createDoctor(world.deps).examine(never);
  expect(report.items.filter(({ verdict }) => verdict === 'failure')).toEqual([]);
  const said = report.items.map(({ check }) => check);
  for (const check of [
    ...['configuration', 'secrets', 'terminal secret', 'Redis', 'Redis persistence', 'Redis eviction', 'Redis memory'],
    'vault',
    ...['engine', 'work directory', 'image of class default', 'gateways', 'clock of Redis', 'clock of the engine'],
    ...['disk of homes', 'disk of the engine', 'homes', 'memory'],
  ]) {
    expect(said).toContain(check);
  }
  expect(report.items.filter(({ verdict, mend }) => (verdict === 'ok') !== (mend === ''))).toEqual([]);
});

describe('homes', () => {
  test('are told by number and size, and each that is over its quota by name', async () => {
    expect(await world.run(homesCheck)).toEqual(['ok homes: none has been measured yet']);
    const [alice, bob] = ['alice', 'bob'].map((name) => UserName.parse(name)) as [UserName, UserName];
    await world.homes.put(alice, 'default', { usedBytes: 3 * 1024 ** 3, isWhole: true });
    await world.homes.put(bob, 'default', { usedBytes: 1024 ** 3, isWhole: true });
    expect(await world.run(homesCheck)).toEqual(['ok homes: 2 measured, 4.0 GiB together, the largest 3.0 GiB']);
    const quotas = classesWith(world.classes, { home: { quota: 2 * 1024 ** 3 } });
    expect(await world.run(homesCheck, { classes: quotas })).toEqual([
      'warning homes: the home of alice takes up 3.0 GiB of 2.0 GiB that class default allows',
    ]);
    await world.homes.put(bob, 'default', { problem: 'the image has no du' });
    expect((await world.run(homesCheck))[0]).toMatch(/^ok homes: 2 measured/);
    expect(await world.run(homesCheck, { classes: quotas })).toEqual([
      expect.stringContaining('the home of alice takes up'),
      'warning homes: the home of bob could not be measured: the image has no du',
    ]);
  });
});

test('a vault that no configured key opens is a failure that names the key', async () => {
  const well = 'ok vault: the configured keys are those of all that is in it, here and at the gateways';
  expect(await world.run(vaultCheck)).toEqual([well]);
  const other = world.vaultWith('another key, which is not configured');
  const alice = UserName.parse('alice');
  await other.putVariable(alice, 'EDITOR', 'vim', { by: 'test' });
  const found = `failure vault: 1 entry in the vaults of 1 user cannot be opened: ${other.keyId}`;
  expect(await world.run(vaultCheck)).toEqual([found]);
  await other.removeVariable(alice, 'EDITOR', { by: 'test' });
});

test('an entry that was damaged is a failure that names it', async () => {
  const alice = UserName.parse('alice');
  const vaults = world.vaultWith(world.config.encryptionKey ?? '');
  await vaults.putVariable(alice, 'EDITOR', 'vim', { by: 'test' });
  await vaults.putVariable(alice, 'TOKEN', 'secret', { by: 'test' });
  const bare = new Redis(world.redis.url);
  const { vault } = keysOf(world.docker.installation).user(alice);
  await bare.hset(vault, 'e:TOKEN', (await bare.hget(vault, 'e:EDITOR')) ?? '');
  await bare.quit();
  const found = 'failure vault: the variable TOKEN of alice is damaged: left out of homes and of what is started';
  expect(await world.run(vaultCheck)).toEqual([found]);
  for (const name of ['EDITOR', 'TOKEN']) await vaults.removeVariable(alice, name, { by: 'test' });
});

test('a gateway that cannot open what this controller seals is a failure', async () => {
  await world.gateway({ vaultKeyIds: ['00000000'] });
  const { keyIds } = world.deps.vault;
  expect(await world.run(vaultCheck)).toEqual([
    `failure vault: the gateway ws://127.0.0.1:3921 has no key ${keyIds.join(', ')}: its terminals start without the environment of vaults`,
  ]);
  await world.gateway({ vaultKeyIds: ['00000000', ...keyIds] });
  expect(await world.run(vaultCheck)).toHaveLength(1);
  expect((await world.run(vaultCheck))[0]).toMatch(/^ok/);
  await world.gateway({ ttlMs: 0 });
});

describe('Redis', () => {
  test('is told as it is where all is well', async () => {
    const [reached, persistence, eviction, memory] = await world.run(redisCheck);
    expect(reached).toMatch(/^ok Redis: \d+\.\d+\.\d+ answers$/);
    expect(persistence).toBe('ok Redis persistence: append-only file, fsync everysec');
    expect(eviction).toBe('ok Redis eviction: noeviction');
    expect(memory).toMatch(/^ok Redis memory: .*, without a limit of its own$/);
  });

  test.each([
    [['appendonly', 'no'], ['appendonly', 'yes'], /^failure Redis persistence: there is no append-only file/],
    [['appendfsync', 'no'], ['appendfsync', 'everysec'], /^warning Redis persistence: .* a power cut loses/],
    [['maxmemory-policy', 'allkeys-lru'], ['maxmemory-policy', 'noeviction'], /^warning Redis eviction: allkeys-lru/],
    [['maxmemory', '1100000'], ['maxmemory', '0'], /^(failure|warning) Redis memory: .* of 1\.0 MiB$/],
  ])('%j is found', async ([name = '', value = ''], [, before = ''], line) => {
    await world.tell('CONFIG', 'SET', name, value);
    try {
      expect(await world.run(redisCheck)).toContainEqual(expect.stringMatching(line));
    } finally {
      await world.tell('CONFIG', 'SET', name, before);
    }
    expect(await world.run(redisCheck)).not.toContainEqual(expect.stringMatching(/^(warning|failure)/));
  });

  test('that keeps nothing, and a missing encryption key, are told in the log of a start, too', async () => {
    const told: string[] = [];
    const log = createLogger({ name: 'test', level: 'info', destination: { write: (line) => void told.push(line) } });
    const { config, readRedis } = world.deps;
    await tellAtStart({ config, readRedis, log });
    expect(told).toEqual([]);
    await world.tell('CONFIG', 'SET', 'appendonly', 'no');
    await tellAtStart({ config: { ...config, encryptionKey: null }, readRedis, log });
    await world.tell('CONFIG', 'SET', 'appendonly', 'yes');
    expect(told.map((line) => JSON.parse(line).msg)).toEqual([
      expect.stringMatching(/^secrets: SPOON_ENCRYPTION_KEY .* is missing/),
      expect.stringMatching(/^Redis persistence: there is no append-only file/),
    ]);
  });

  test('that throws keys away at its limit is a failure', async () => {
    await world.tell('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru', 'maxmemory', '1000000000');
    expect(await world.run(redisCheck)).toContainEqual(expect.stringMatching(/^failure Redis eviction: volatile-lru/));
    await world.tell('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '0');
  });

  test('that copies another one is a failure: it takes no writes', async () => {
    await world.tell('REPLICAOF', '127.0.0.1', '1');
    expect(await world.run(redisCheck)).toContain('failure Redis: it is a replica of 127.0.0.1:1');
    await world.tell('REPLICAOF', 'NO', 'ONE');
  });

  test('that is not there is one failure', async () => {
    const readRedis = () => Promise.reject(new Error('connect ECONNREFUSED'));
    expect(await world.run(redisCheck, { readRedis })).toEqual([
      'failure Redis: it cannot be asked: connect ECONNREFUSED',
    ]);
  });

  test('that is not there is told once, and hides nothing that can be checked without it', async () => {
    const away = () => Promise.reject(new Error('connect ECONNREFUSED'));
    const { config } = world.deps;
    const stores = {
      store: { gateways: away, users: away },
      homes: { all: away },
      leaderStore: { secretOfLeader: away },
    };
    const weak = { ...config, internalToken: 'changeme', terminalSecret: 'changeme' };
    const { items } = await createDoctor({ ...world.deps, ...stores, config: weak, readRedis: away }).examine(never);
    const lines = items.map(lineOf);
    expect(lines.filter((line) => line.startsWith('failure'))).toEqual([
      'failure secrets: SPOON_AGENT_WORKER_INTERNAL_TOKEN is an example that anybody can read',
      'failure Redis: it cannot be asked: connect ECONNREFUSED',
    ]);
    for (const check of ['terminal secret', 'vault', 'gateways', 'clock of Redis', 'homes']) {
      expect(lines).toContain(`warning ${check}: not checked: Redis does not answer`);
    }
    expect(lines).toContain("ok clock of the engine: as the controller's");
  });

  test('that answers while a question to it fails is not to blame', async () => {
    const homes = { all: () => Promise.reject(new Error('WRONGTYPE')) };
    const { items } = await createDoctor({ ...world.deps, homes }).examine(never);
    expect(items.map(lineOf)).toContain('failure homes: WRONGTYPE');
  });
});

describe('the engine', () => {
  test('that is not there is one failure, and what needs it says that it was not checked', async () => {
    const connect = connectWith({ dockerHost: 'unix:///nowhere/docker.sock' });
    const { items } = await createDoctor({ ...world.deps, connect }).examine(never);
    const lines = items.map(lineOf);
    expect(lines).toContainEqual(expect.stringMatching(/^failure engine: No Docker engine answers at .*ENOENT/));
    for (const check of [
      'work directory',
      'image',
      'clock of the engine',
      'disk of the engine',
      'memory',
      'left-overs',
    ]) {
      expect(lines).toContain(`warning ${check}: not checked: the engine cannot be used`);
    }
  });

  test('that says nothing holds nobody up: each check has its time, and those that do not need it are told', async () => {
    const silent = new Promise<never>(() => {});
    const { items } = await createDoctor({ ...world.deps, connect: () => silent }, 300).examine(never);
    const lines = items.map(lineOf);
    for (const check of ['engine', 'work directory', 'memory']) {
      expect(lines).toContainEqual(expect.stringMatching(`^failure ${check}: the check did not end within`));
    }
    expect(lines).toContainEqual(expect.stringMatching(/^ok configuration/));
  });

  test('that is too old is refused with its version and the mend', async () => {
    // No engine so old can be had: one that says it is.
    const old = createServer((_request, response) => response.end('{"ApiVersion":"1.40","MinAPIVersion":"1.12"}'));
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
    const connect = connectWith({ dockerHost: `tcp://127.0.0.1:${portOf(old)}` });
    const [line] = await world.run(engineCheck, { connect });
    old.closeAllConnections();
    old.close();
    expect(line).toMatch(
      /^failure engine: .*speaks API 1\.40; Spoonbox needs 1\.41 or newer: upgrade it to Docker 20\.10/,
    );
  });
});

describe('the work directory', () => {
  test('that the engine sees elsewhere is a failure, found from inside a container', async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), 'spoonbox-elsewhere-'));
    const [line] = await world.run(workdirCheck, { connect: connectWith({ hostWorkdir: elsewhere }) });
    await rm(elsewhere, { recursive: true });
    expect(line).toMatch(/^failure work directory: SPOON_AGENT_HOST_WORKDIR .* a file written here is not there/);
  });

  test('that the engine does not have is one too', async () => {
    const [line] = await world.run(workdirCheck, { connect: connectWith({ hostWorkdir: '/nowhere/at/all' }) });
    expect(line).toMatch(/^failure work directory: SPOON_AGENT_HOST_WORKDIR \(\/nowhere\/at\/all\)/);
  });
});

describe('images', () => {
  const missing = 'spoonbox/is-nowhere:1';
  test('that are not there are a warning, or a failure where they are never pulled', async () => {
    const waits = { classes: classesWith(world.classes, { image: missing, pullPolicy: 'IfNotPresent' }) };
    expect(await world.run(imagesCheck, waits)).toEqual([
      `warning image of class default: ${missing} is not there: the first box waits until it is pulled`,
    ]);
    const refused = { classes: classesWith(world.classes, { image: missing, pullPolicy: 'Never' }) };
    expect(await world.run(imagesCheck, refused)).toEqual([
      `failure image of class default: ${missing} is not there, and is never pulled`,
    ]);
  });

  test("run the tools that their class promises, as the class's user", async () => {
    const tools = [
      { name: 'bash', command: ['bash', '--version'], version: 'version (5\\.\\d)' },
      { name: 'user', command: ['sh', '-c', 'id -u; id -g'], version: '^1000$' },
    ];
    expect(await world.run(imagesCheck, { classes: classesWith(world.classes, { tools }) })).toEqual([
      `ok image of class default: ${boxImage}, with bash 5.2, user 1000`,
    ]);
  });

  test('whose tools are missing, end with an error, or have another version are failures', async () => {
    const tools = [
      { name: 'codex', command: ['sh', '-c', 'echo no codex here >&2; exit 127'] },
      { name: 'eza', command: ['echo', 'eza v0.1'], version: 'v0\\.18' },
      { name: 'zoxide', command: ['zoxide-is-nowhere', '--version'] },
    ];
    const lines = await world.run(imagesCheck, { classes: classesWith(world.classes, { tools }) });
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain(
      'codex does not run: `sh -c echo no codex here >&2; exit 127` ended with 127: no codex here',
    );
    expect(lines[1]).toContain('eza has no version /v0\\.18/: `echo eza v0.1` says eza v0.1');
    expect(lines[2]).toMatch(/^failure .*zoxide does not run/);
  });
});

test('an image with more tools than there is time for: those that were tried are told, and those that were not', async () => {
  const engine = await world.deps.connect();
  const tools = ['bash', 'hangs', 'last'].map((name) => ({ name, command: [name] }));
  const tryOut: typeof engine.tryOut = ({ command: [name] }, signal) =>
    name === 'hangs' ? rejectedBy(signal) : Promise.resolve({ exitCode: 0, output: '' });
  const [boxClass] = classesWith(world.classes, { tools }).values();
  if (boxClass === undefined) throw new Error('there is no class');
  const classes = new Map(['default', 'other'].map((name) => [name, { ...boxClass, name }]));
  const within = AbortSignal.timeout(300);
  const found = await imagesCheck.run({ ...world.deps, classes, engine: async () => ({ ...engine, tryOut }) }, within);
  expect(found.map(lineOf)).toEqual([
    `failure image of class default: ${boxImage}, with bash; in the time of this check hangs, last could not be tried`,
    `failure image of class other: there was no time left to look at ${boxImage}`,
  ]);
});

test('processes with another terminal secret are found: gateways that live, and the leader', async () => {
  await world.gateway({ secret: 'another-one' });
  expect(await world.run(terminalSecretCheck)).toEqual([
    'failure terminal secret: the gateway ws://127.0.0.1:3921 has another one: terminals are refused',
  ]);
  await world.gateway();
  expect(await world.run(terminalSecretCheck)).toEqual([
    'ok terminal secret: the same in all processes that are known',
  ]);
  const leader = { token: 't', ttlMs: 60_000, holder: 'h', fingerprint: 'f' };
  await world.leaderStore.take(leader, 0);
  expect((await world.run(terminalSecretCheck))[0]).toMatch(/^failure terminal secret: the leading controller has/);
  await world.tell('FLUSHALL');
});

test('no gateway is a failure, one of another version a warning', async () => {
  await world.gateway({ ttlMs: 0 });
  expect(await world.run(gatewaysCheck)).toEqual(['failure gateways: none is registered: nobody can open a terminal']);
  await world.gateway({ version: '0.0.1' });
  expect((await world.run(gatewaysCheck))[0]).toMatch(/^warning gateways: .* is of version 0\.0\.1/);
  await world.tell('FLUSHALL');
});

test('clocks of Redis and of the engine that differ from the one here are failures', async () => {
  const late = { wallClockMs: () => Date.now() - 60_000 };
  for (const check of [redisClockCheck, engineClockCheck]) {
    expect(await world.run(check)).toEqual([`ok ${check.name}: as the controller's`]);
    const differs = new RegExp(`^failure ${check.name}: (59|60)\\.\\d s ahead of the controller's$`);
    expect(await world.run(check, late)).toEqual([expect.stringMatching(differs)]);
  }
});

describe('memory', () => {
  const gib = 1024 ** 3;
  /** What is told on a machine of 16 GiB on which boxes with these caps run, of a class whose cap is 4 GiB. */
  async function told(capsGib: readonly number[], limits: Partial<Limits> = {}): Promise<string[]> {
    const box = { installation: world.docker.installation, role: 'box', state: 'running', createdAtS: 0, mounts: [] };
    const containers = capsGib.map((cap, n) => ({
      ...box,
      id: `${n}`,
      name: `spoon-box-${n}`,
      memoryBytes: cap * gib,
    }));
    const connect = async () => {
      const real = await world.deps.connect();
      const about = async () => ({ ...(await real.about(never)), memoryBytes: 16 * gib });
      return { ...real, about, containers: async () => containers };
    };
    const config = { ...world.config, limits: { ...noLimits, ...limits } };
    const classes = classesWith(world.classes, { limits: { memory: 4 * gib, cpus: 1, pids: 100 } });
    return await world.run(memoryCheck, { config, classes, connect });
  }

  test.each([
    [[], {}, ['ok memory: 0 running boxes may use 0 B of 16 GiB: 4 more of class default would fit']],
    [[4], {}, ['ok memory: 1 running box may use 4.0 GiB of 16 GiB: 3 more of class default would fit']],
    [[4], { memoryBytes: 8 * gib }, ['ok memory: 1 running box may use 4.0 GiB of 16 GiB: 1 more of class']],
    [[4], { boxes: 2 }, ['ok memory: 1 running box may use 4.0 GiB of 16 GiB: 1 more of class']],
    [[4, 4], { boxes: 1, memoryBytes: 4 * gib }, ['ok memory: 2 running boxes may use 8.0 GiB of 16 GiB: 0 more']],
    [[8, 12], {}, ['warning memory: 2 running boxes may use 20 GiB of 16 GiB']],
    [
      [],
      { memoryBytes: 32 * gib },
      [
        'warning memory: SPOON_BOX_MEMORY lets in boxes of 32 GiB, and the machine has 16 GiB',
        'ok memory: 0 running boxes',
      ],
    ],
    [
      [],
      { memoryBytes: 2 * gib },
      [
        'warning memory: one box of class default may use 4.0 GiB, and SPOON_BOX_MEMORY is 2.0 GiB: it never gets a place',
        'ok memory: 0 running boxes may use 0 B of 16 GiB: 0 more',
      ],
    ],
  ])('of boxes with caps of %j GiB under the limits %j is told', async (caps, limits, lines) => {
    expect(await told(caps, limits)).toEqual(lines.map((line) => expect.stringContaining(line)));
  });

  test('of a class whose one box may use more than there is, is a warning', async () => {
    const limits = { memory: 2 ** 50, cpus: 1, pids: 100 };
    const [line] = await world.run(memoryCheck, { classes: classesWith(world.classes, { limits }) });
    expect(line).toMatch(/^warning memory: one box of class default may use 1024 TiB, and the machine has/);
  });
});

test('what an earlier worker left is summed up, with the way to the list', async () => {
  const name = `spoon-agent-term-${world.docker.installation}`;
  await handsOf(world.docker).createForeign(name);
  await mkdir(join(world.docker.workdir, 'job1', 'repo', '.git'), { recursive: true });
  const [line] = await world.run(leftoversCheck);
  expect(line).toMatch(/^warning left-overs: .*1 directory of a job, \d+ terminal containers?/);
});

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
