import { lstat, mkdir, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Wish } from '#shared/box-store.ts';
import { label } from '#shared/identity.ts';
import type { ClearBody, ClearReply, Leftover } from '#shared/leftover.ts';
import { createLogger } from '#shared/log.ts';
import { ProblemError } from '#shared/problem.ts';
import { trashFolder } from '#shared/workdir.ts';
import { digestOf } from '../../controller/src/leftovers/found.ts';
import { jobDirectories } from '../../controller/src/leftovers/job-directories.ts';
import { createLeftovers, defaultClassOf, type Leftovers } from '../../controller/src/leftovers/leftovers.ts';
import { findLeftovers } from '../../controller/src/leftovers/list.ts';
import { connectHostEngine } from '../../controller/src/runtime/host-engine.ts';
import type { HostEngine } from '../../controller/src/runtime/host-port.ts';
import { loadClasses } from '#shared/classes.ts';
import { boxImage, createDockerWorld, type DockerWorld, handsOf } from '../support/docker.ts';

const classesDir = new URL('../../manifests/classes', import.meta.url).pathname;
const classes = loadClasses(classesDir, { boxImage, boxIdleMs: null });
const { signal: never } = new AbortController();
const longAgo = new Date('2026-01-01T00:00:00Z');

let world: DockerWorld;
let engine: HostEngine;
let leftovers: Leftovers;
const wishes: (readonly [user: string, wish: Wish, by: string])[] = [];

beforeAll(async () => {
  world = await createDockerWorld();
  const { installation, workdir } = world;
  const log = createLogger({ name: 'test', level: 'silent' });
  const dockerHost = process.env.DOCKER_HOST ?? null;
  engine = await connectHostEngine({ dockerHost, installation, workdir, hostWorkdir: workdir, log });
  leftovers = createLeftovers({
    ...{ workdir, hostWorkdir: workdir, classes, log },
    connect: async () => engine,
    store: {
      async wish(user, wish, by) {
        wishes.push([user, wish, by]);
        return { ok: true };
      },
    },
  });
  await mkdir(join(workdir, 'homes'));
});
afterAll(() => world?.dispose());

const at = (...path: string[]): string => join(world.workdir, ...path);
/** A name of this world's own: names are the engine's. */
const named = (name: string): string => `${name}-${world.installation.slice(-6)}`;

/** But for checkouts, a look at which takes a container. */
async function listed(): Promise<Leftover[]> {
  const boxClass = defaultClassOf(classes);
  const { workdir } = world;
  const at = { engine, workdir, hostWorkdir: workdir, boxClass, withCheckouts: false };
  return (await findLeftovers(at, never)).items.map(({ leftover }) => leftover);
}

async function found(name: string): Promise<Leftover | undefined> {
  return (await listed()).find((item) => item.name === name);
}

async function mustFind(name: string): Promise<Leftover> {
  const item = await found(name);
  if (item === undefined) throw new Error(`${name} is not listed`);
  return item;
}

async function clear({ kind, name, seen }: Leftover, force = false): Promise<ClearReply> {
  if (kind === 'dead-checkout') throw new Error('a dead checkout cannot be asked for');
  const body: ClearBody = { kind, name, seen, force };
  return await leftovers.clear(body, 'ops', never);
}

/** The code of the problem that it is refused with. */
async function refusal(clearing: Promise<unknown>): Promise<string> {
  try {
    await clearing;
  } catch (error) {
    if (error instanceof ProblemError) return error.problem.code;
    throw error;
  }
  return 'not refused';
}

/** As the worker of before made it, and untouched since. */
async function makeJob(...path: string[]): Promise<void> {
  await mkdir(at(...path, 'repo', '.git'), { recursive: true });
  await writeFile(at(...path, 'repo', '.git', 'HEAD'), 'ref: refs/heads/main\n');
  for (const part of [['repo', '.git'], ['repo'], []]) await utimes(at(...path, ...part), longAgo, longAgo);
}

describe('containers of terminals', () => {
  test('that have ended are removed; one that runs only by force; and a label makes it somebody else’s', async () => {
    const hands = handsOf(world);
    const name = named('spoon-agent-term-a');
    const id = await hands.createForeign(name);
    const labelled = named('spoon-agent-term-b');
    const { docker, boxImageId } = world;
    const labels = { [label.installation]: world.installation };
    await docker.createContainer({ name: labelled, Image: boxImageId, Cmd: ['true'], Labels: labels });

    const asListed = await mustFind(name);
    expect([asListed.kind, asListed.action, asListed.inUse]).toEqual(['terminal-container', 'remove', null]);
    expect(await found(labelled)).toBeUndefined();
    expect(await refusal(clear({ ...asListed, name: labelled }))).toBe('leftover-changed');

    await docker.getContainer(id).start();
    // It is not what was listed any more, by force or not.
    expect(await refusal(clear(asListed))).toBe('leftover-changed');
    expect(await refusal(clear(asListed, true))).toBe('leftover-changed');
    const running = await mustFind(name);
    expect(running.inUse).toBe('it runs: somebody may be at this terminal');
    expect(await refusal(clear(running))).toBe('leftover-in-use');
    expect(await engine.container(id, never)).toMatchObject({ state: 'running' });

    expect(await clear(running, true)).toMatchObject({ done: true });
    expect(await engine.container(id, never)).toBeNull();
    expect(await refusal(clear(running, true))).toBe('leftover-changed');
  });

  test('are told apart by their ids: another one of the same name is left', async () => {
    const name = named('spoon-agent-term-c');
    const first = await handsOf(world).createForeign(name);
    const asListed = await mustFind(name);
    await world.docker.getContainer(first).remove();
    const second = await handsOf(world).createForeign(name);
    expect(await refusal(clear(asListed))).toBe('leftover-changed');
    expect(await engine.container(second, never)).not.toBeNull();
    expect(await clear(await mustFind(name))).toMatchObject({ done: true });
    expect(await engine.container(second, never)).toBeNull();
  });
});

describe('boxes that no installation made', () => {
  test('are handed to the reconciler to be adopted, and not touched', async () => {
    const user = named('old');
    await mkdir(at('homes', user));
    // Where the box of before had it, whatever that was.
    const id = await handsOf(world).createForeign(`spoon-box-${user}`, [`${at('homes', user)}:/home/ubuntu`]);
    const asListed = await mustFind(`spoon-box-${user}`);
    expect([asListed.action, asListed.inUse]).toEqual(['adopt', null]);
    await clear(asListed);
    expect(wishes.at(-1)).toEqual([user, { wish: 'adopt', containerId: id, atOnce: false }, 'ops']);
    expect(await engine.container(id, never)).not.toBeNull();
  });

  test('whose name is no user’s, or whose home is elsewhere or in the box itself, are left', async () => {
    const asked = wishes.length;
    const strange = `spoon-box-${named('a..b')}`;
    await handsOf(world).createForeign(strange);
    const asListed = await mustFind(strange);
    expect(asListed.action).toBe('none');
    expect(await refusal(clear(asListed, true))).toBe('leftover-in-use');

    const user = named('moved');
    await mkdir(at('elsewhere'));
    await handsOf(world).createForeign(`spoon-box-${user}`, [`${at('elsewhere')}:/home/spoon`]);
    const moved = await mustFind(`spoon-box-${user}`);
    expect(moved.inUse).toBe(
      `its home is ${at('elsewhere')}, and its replacement would have ${at('homes', user)}: move the home there first`,
    );
    expect(await refusal(clear(moved))).toBe('leftover-in-use');
    const homeless = `spoon-box-${named('none')}`;
    await handsOf(world).createForeign(homeless);
    const none = await mustFind(homeless);
    expect(none.inUse).toBe('it has no home mounted: what was written in it would be lost with it, save it first');
    expect(await refusal(clear(none))).toBe('leftover-in-use');
    expect(wishes).toHaveLength(asked);
  });
});

describe('directories of jobs', () => {
  test('are removed with all that is in them, and nothing that links in them lead to', async () => {
    await makeJob('job1');
    await mkdir(at('homes', 'alice'), { recursive: true });
    await writeFile(at('homes', 'alice', 'kept'), 'kept');
    await symlink(at('homes'), at('job1', 'repo', 'homes'));
    await symlink('../../homes/alice', at('job1', 'alice'));
    await utimes(at('job1', 'repo'), longAgo, longAgo);
    await utimes(at('job1'), longAgo, longAgo);
    expect(await clear(await mustFind('job1'))).toEqual({ done: true, message: 'job1 is removed' });
    expect(await readdir(world.workdir)).not.toContain('job1');
    expect(await readdir(at(trashFolder))).toEqual([]);
    expect(await readFile(at('homes', 'alice', 'kept'), 'utf8')).toBe('kept');
  });

  test('are never homes or recordings, also those of a user called repo', async () => {
    await makeJob('homes');
    await makeJob('recordings');
    const names = (await listed()).map(({ name }) => name);
    expect(names).not.toContain('homes');
    expect(names).not.toContain('recordings');
    for (const name of ['homes', '../x']) {
      await expect(engine.throwAway(boxImage, { name, inode: '1:2:', as: 'x' }, never)).rejects.toThrow('never thrown');
    }
    expect(await readdir(at('homes', 'repo', '.git'))).toEqual(['HEAD']);
    await rm(at('homes', 'repo'), { recursive: true });
    await rm(at('recordings'), { recursive: true });
  });

  test('are never where a link called homes leads, nor what that is in', async () => {
    const workdir = at('other');
    const names = async (): Promise<string[]> => (await jobDirectories(workdir, () => {})).map(({ name }) => name);
    await makeJob('other', 'users');
    await makeJob('other', 'disk');
    await mkdir(at('other', 'disk', 'users'));
    for (const place of ['users', 'disk/users']) {
      await symlink(place, at('other', 'homes'));
      expect(await names()).toEqual(['disk', 'users'].filter((name) => name !== place.split('/')[0]));
      await rm(at('other', 'homes'));
    }
    expect(await names()).toEqual(['disk', 'users']);
    await rm(workdir, { recursive: true });
  });

  test('are never links, nor what has a link where the checkout should be, nor anything else', async () => {
    await makeJob('homes', 'carol');
    await symlink('homes/carol', at('linked'));
    await mkdir(at('half'));
    await symlink('../homes/carol/repo', at('half', 'repo'));
    await mkdir(at('nogit', 'repo'), { recursive: true });
    await makeJob('.hidden');
    await writeFile(at('file'), '');
    const names = (await listed()).map(({ name }) => name);
    for (const name of ['linked', 'half', 'nogit', '.hidden', 'file']) expect(names).not.toContain(name);
    for (const name of ['linked', 'half', 'nogit', '.hidden', 'file']) await rm(at(name), { recursive: true });
  });

  test('that were exchanged since they were listed are left, and what took their place', async () => {
    await makeJob('job2');
    const asListed = await mustFind('job2');
    await rename(at('job2'), at('job2-before'));
    await symlink('homes', at('job2'));
    expect(await refusal(clear(asListed, true))).toBe('leftover-changed');
    await rm(at('job2'));
    await makeJob('job2');
    expect(await refusal(clear(asListed, true))).toBe('leftover-changed');
    // The same at the last moment, when it was looked at already.
    expect(await engine.throwAway(boxImage, { name: 'job2', inode: '1:2:', as: 'x' }, never)).toBe(false);
    // A link to what was seen is not what was seen, nor is one to a home that looks like it.
    await makeJob('homes');
    const inode = `${(await lstat(at('homes'))).ino}:${(await lstat(at('homes', 'repo'))).ino}:`;
    await rename(at('job2'), at('job2-again'));
    await symlink('homes', at('job2'));
    expect(await engine.throwAway(boxImage, { name: 'job2', inode, as: 'x' }, never)).toBe(false);
    expect(await readdir(at('homes', 'repo'))).toEqual(['.git']);
    for (const name of ['job2', 'job2-before', 'job2-again', 'homes/repo']) await rm(at(name), { recursive: true });
  });

  test('in which somebody wrote lately, or that a running container has, are cleared by force only', async () => {
    await makeJob('fresh');
    await utimes(at('fresh', 'repo', '.git'), new Date(), new Date());
    const fresh = await mustFind('fresh');
    expect(fresh.inUse).toMatch(/^something was written there \d+ s ago$/);
    expect(await refusal(clear(fresh))).toBe('leftover-in-use');
    expect(await clear(fresh, true)).toMatchObject({ done: true });

    await makeJob('mounted');
    const container = await world.docker.createContainer({
      ...{ name: named('worker'), Image: world.boxImageId, Cmd: ['sleep', '60'] },
      Labels: { 'dev.spoonbox.test': world.installation },
      HostConfig: { Init: true, Binds: [`${at('mounted', 'repo')}:/work`] },
    });
    await container.start();
    const mounted = await mustFind('mounted');
    expect(mounted.inUse).toBe(`the container ${named('worker')} runs, and has it mounted`);
    expect(await refusal(clear(mounted))).toBe('leftover-in-use');
    await container.kill();
    expect((await mustFind('mounted')).inUse).toBeNull();
  });

  test('that a crash left in the trash are listed, and their removal goes on by either name', async () => {
    await makeJob('job3');
    const asListed = await mustFind('job3');
    await makeJob(trashFolder, 'other.1');
    await rename(at('job3'), at(trashFolder, `job3.${asListed.seen}`));
    expect(await clear(asListed)).toMatchObject({ done: true });
    const other = await mustFind(`${trashFolder}/other.1`);
    expect(await clear(other)).toMatchObject({ done: true });
    expect(await readdir(at(trashFolder))).toEqual([]);
  });

  test('go where the trash is, and not where a link in its place leads', async () => {
    await makeJob('job4');
    await rm(at(trashFolder), { recursive: true, force: true });
    await symlink('homes', at(trashFolder));
    await expect(clear(await mustFind('job4'))).rejects.toThrow('not a directory: move it away');
    expect(await readdir(at('homes'))).not.toContainEqual(expect.stringContaining('job4'));
    await rm(at(trashFolder));
    await rm(at('job4'), { recursive: true });
  });
});

test('checkouts whose git directory is gone are listed and never cleared; links lead nowhere', async () => {
  const code = (...path: string[]): string => at('homes', 'dora', 'Code', ...path);
  await mkdir(code('spoon', 'main', '.git'), { recursive: true });
  await writeFile(code('spoon', 'main', '.git', 'HEAD'), 'ref: refs/heads/main\n');
  await mkdir(code('spoon', 'half', '.git'), { recursive: true });
  await mkdir(code('spoon', 'feature', 'of two'), { recursive: true });
  await writeFile(code('spoon', 'feature', 'of two', '.git'), 'gitdir: /home/spoon/Code/spoon/main/.git/worktrees/x\n');
  await mkdir(code('spoon', 'fine'));
  // What only a hostile user makes: a link to a file without an end, and a name that is an option.
  await mkdir(code('-delete', 'x'), { recursive: true });
  await symlink('/proc/kmsg', code('-delete', 'x', '.git'));
  await writeFile(code('spoon', 'fine', '.git'), 'gitdir: /home/spoon/Code/spoon/main/.git\n');
  // Of another home, reached by a link of this one.
  await mkdir(at('homes', 'eve'), { recursive: true });
  await symlink('../dora/Code', at('homes', 'eve', 'Code'));
  const { items } = await leftovers.list(never);
  const dead = items.filter(({ kind }) => kind === 'dead-checkout');
  expect(dead.map(({ name }) => name)).toEqual(['homes/dora/Code/spoon/feature/of two', 'homes/dora/Code/spoon/half']);
  expect(dead.every(({ action }) => action === 'none')).toBe(true);
});

test('more dead checkouts than are told are said to be there', async () => {
  for (let n = 0; n < 201; n += 1)
    await mkdir(at('homes', 'fred', 'Code', 'many', `n${n}`, '.git'), { recursive: true });
  const { items, notLooked } = await leftovers.list(never);
  await rm(at('homes', 'fred'), { recursive: true });
  expect(items.filter(({ kind }) => kind === 'dead-checkout')).toHaveLength(200);
  expect(notLooked).toEqual(['checkouts in the homes: there are more dead ones than the 200 that are told']);
});

test('a list has the same digest until something of it changes', async () => {
  const before = digestOf(await listed());
  expect(digestOf(await listed())).toBe(before);
  await makeJob('job5');
  expect(digestOf(await listed())).not.toBe(before);
});

test('the digest is of what would be done: not of what users put into their homes, but of whether it takes force', () => {
  const seen = { name: 'job1', seen: 's1', about: 'last written an hour ago', action: 'remove', inUse: null } as const;
  const item = { kind: 'job-directory', ...seen } as const;
  const dead = { ...item, kind: 'dead-checkout', name: 'homes/eve/Code/x', action: 'none' } as const;
  const digest = digestOf([item]);
  expect(digestOf([dead, { ...item, about: 'last written two hours ago' }])).toBe(digest);
  expect(digestOf([{ ...item, inUse: 'something was written there 5 s ago' }])).not.toBe(digest);
  expect(digestOf([{ ...item, seen: 's2' }])).not.toBe(digest);
});
