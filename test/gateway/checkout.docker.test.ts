import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import { type Checkout, pathOf } from '#shared/checkout.ts';
import { LeaseId, type UserName } from '#shared/identity.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { type Boxes, createBoxes, createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { apiToken, type BareJob, bareExec, bareJob, commandsOn } from './jobs-world.ts';
import { open } from './test-client.ts';

/** A git server on this machine's loopback, and boxes that reach it. */
let boxes: Boxes;
let world: GatewayWorld;
let gateway: Gateway;
let server: GitServer;
let box: { user: UserName; containerId: string };
const home = '/home/spoon';

beforeAll(async () => {
  boxes = await createBoxes();
  world = await createGatewayWorld(boxes.exec);
  gateway = await world.gateway({ jobs: { commands: commandsOn(boxes.connect), apiToken } });
  server = await startGitServer({ branches: ['feature/a', 'b', 'c'] });
  box = await readyBox();
});
afterAll(async () => {
  await world?.close();
  await boxes?.close();
  await server?.[Symbol.asyncDispose]();
});

async function readyBox(more: Parameters<Boxes['start']>[1] = {}): Promise<{ user: UserName; containerId: string }> {
  const user = world.newUser();
  const HostConfig = { NetworkMode: 'host', ...more.HostConfig };
  const containerId = await boxes.start(user, { ...more, HostConfig });
  await world.commit(user, { phase: 'ready', containerId });
  return { user, containerId };
}

function queryOf({ spoon, branch, clone }: Checkout): Record<string, string> {
  if (clone === undefined) return { spoon, branch };
  const { url, ref, depth, credential } = clone;
  return {
    ...{ spoon, branch, clone: url },
    ...(ref !== undefined && { ref }),
    ...(depth !== undefined && { depth: String(depth) }),
    ...(credential !== undefined && { credential }),
  };
}

const begin = (checkout: Checkout, script: string, { user } = box): Promise<BareJob> =>
  bareJob(gateway.port, user, ['sh', '-c', script], queryOf(checkout));

interface Ran {
  out: string;
  err: string;
  /** null where the command was not run */
  code: number | null;
  message: string;
}

async function ended(job: BareJob): Promise<Ran> {
  const status = await job.status;
  const exit = status?.details?.causes[0]?.message;
  const code = status?.status === 'Success' ? 0 : exit === undefined ? null : Number(exit);
  return { out: job.out().toString(), err: job.err(), code, message: status?.message ?? '' };
}

const run = async (checkout: Checkout, script: string, of = box): Promise<Ran> =>
  await ended(await begin(checkout, script, of));

/** Without a checkout. */
const inHome = async (script: string, { user } = box): Promise<Ran> =>
  await ended(await bareJob(gateway.port, user, ['sh', '-c', script]));

/** A clone that waits for its server, until `letGo`. */
async function beginHeld(checkout: Checkout, script: string, at = server, of = box): Promise<BareJob> {
  const fetches = at.fetches;
  at.holds = true;
  const job = await begin(checkout, script, of);
  await vi.waitFor(() => expect(at.fetches).toBe(fetches + 1));
  at.holds = false;
  return job;
}

describe('a checkout', () => {
  it.each([
    ['shop', 'main'],
    ['My shop (2)', 'feature/with spaces'],
    ['größe', 'ümläut/日本語/😀'],
    ['-rf', '-x/--help'],
    ["it's", 'a"b$(touch boom)`touch boom`;&|<>'],
    ['a.b', 'v1.2.3'],
  ])('of %j on %j is made in the home, as its user, and is where the command starts', async (spoon, branch) => {
    const ran = await run({ spoon, branch }, 'pwd -P; stat -c %u .; ls -A');
    expect(ran).toMatchObject({ code: 0, out: `${home}/Code/${spoon}/${branch}\n1000\n`, err: '' });
    expect(await run({ spoon, branch }, 'pwd')).toEqual({ ...ran, out: `${home}/Code/${spoon}/${branch}\n` });
  });

  it('has the directory that is named below it', async () => {
    await run({ spoon: 'shop', branch: 'sub' }, 'mkdir -p "packages/a b"');
    const job = await bareJob(gateway.port, box.user, ['pwd'], {
      spoon: 'shop',
      branch: 'sub',
      directory: 'packages/a b',
    });
    expect(await ended(job)).toMatchObject({ code: 0, out: `${home}/Code/shop/sub/packages/a b\n` });
  });

  it.each([
    ['Code/linked', 'linked', 'x'],
    ['Code/deep/a', 'deep', 'a/b'],
    ['Code/deep/leaf', 'deep', 'leaf'],
  ])('is refused where %s is a link, and nothing is made or run behind it', async (link, spoon, branch) => {
    await inHome(`mkdir -p elsewhere/b Code/deep; ln -s ~/elsewhere ${link}`);
    const ran = await run({ spoon, branch }, 'touch ran');
    expect(ran).toMatchObject({ code: null, out: '', message: expect.stringContaining(`${link} is a link`) });
    expect((await inHome('find elsewhere')).out).toBe('elsewhere\nelsewhere/b\n');
  });

  it('is refused where Code itself is a link, or a file is in its way', async () => {
    const own = await readyBox();
    await inHome('mkdir other; ln -s other Code', own);
    expect((await run({ spoon: 's', branch: 'b' }, 'touch ran', own)).message).toContain('Code is a link');
    expect((await inHome('rm Code; mkdir Code; echo x >Code/s; ls -A other', own)).out).toBe('');
    expect(await run({ spoon: 's', branch: 'b' }, 'true', own)).toMatchObject({
      code: null,
      message: expect.stringMatching(
        /^the command has no result: the checkout Code\/s\/b cannot be used: Code\/s cannot be/,
      ),
    });
  });

  it('is refused in another checkout, to whose git it would belong', async () => {
    await inHome('git init -q Code/nest/feature');
    const ran = await run({ spoon: 'nest', branch: 'feature/x' }, 'true');
    expect(ran.message).toContain('Code/nest/feature is a checkout itself');
    expect((await inHome('ls Code/nest/feature')).out).toBe('');
  });

  it('is the working directory of a terminal whose token names it', async () => {
    const checkout = { spoon: 'shop', branch: 'of a terminal' };
    const client = await open({ port: gateway.port, token: await world.token(box.user, { checkout }) });
    await client.message('hello');
    client.type('echo "at=$(pwd -P)="; exit\n');
    await client.sees(`at=${home}/Code/shop/of a terminal=`);
    await client.closed;
  });

  it('that cannot be used ends the terminal with the reason', async () => {
    await inHome('mkdir -p Code/t; ln -sfn /tmp Code/t/l');
    const checkout = { spoon: 't', branch: 'l' };
    const client = await open({ port: gateway.port, token: await world.token(box.user, { checkout }) });
    expect(await client.message('error')).toMatchObject({
      code: 'checkout-failed',
      message:
        'the checkout Code/t/l cannot be used: Code/t/l is a link, and a checkout goes through none: move it away',
    });
    expect(await client.closed).toMatchObject({ code: 4415 });
    await vi.waitFor(async () => expect(await world.store.sessions(box.user)).toEqual([]));
  });

  it('is also where a new shell begins that another gateway starts in the place of one that is lost', async () => {
    const jobs = { commands: commandsOn(boxes.connect), apiToken };
    const of = { persist: 'tmux', jobs, limits: { graceMs: 60_000 } } as const;
    const [first, second] = [await world.gateway(of), await world.gateway(of)];
    const checkout = { spoon: 'shop', branch: 'of two gateways' };
    const client = await open({ port: first.port, token: await world.token(box.user, { checkout }) });
    const { ticket } = await client.message('hello');
    await client.answers(); // a shell that does not run yet is not left to another gateway
    await first.drain(20_000);
    const lose = `pkill -KILL -x 'tmux: server' && rmdir 'Code/shop/${checkout.branch}'`;
    expect(await inHome(lose)).toMatchObject({ code: 0, err: '' });
    const back = await open({ port: second.port, ticket: ticket ?? '', offset: 0 });
    expect(await back.message('notice')).toMatchObject({ code: 'session-lost' });
    await back.message('hello');
    back.type('echo "at=$(pwd -P)="; exit\n');
    await back.sees(`at=${home}/Code/shop/of two gateways=`);
    await back.closed;
  });

  it('of a live lease is where its commands start; a lease that is not live runs nothing', async () => {
    const { user } = box;
    const id = LeaseId.parse('j1');
    const checkout = { spoon: 'leased', branch: 'a/b' };
    await world.store.take({ user, id, kind: 'job', holder: 'agent-7', ttlMs: 60_000, class: null, checkout });
    const at = async (query: Record<string, string>): Promise<string> =>
      (await ended(await bareJob(gateway.port, user, ['pwd'], query))).out;
    expect(await at({ lease: 'j1' })).toBe(`${home}/Code/leased/a/b\n`);
    expect(await at({ lease: 'j1', spoon: 'other', branch: 'c' })).toBe(`${home}/Code/other/c\n`);
    await world.store.release(user, id, 'test');
    const query = [
      ['user', user],
      ['command', 'pwd'],
      ['lease', 'j1'],
    ] as const;
    expect(await bareExec(gateway.port, query)).toMatchObject({ status: 409, code: 'lease-unknown' });
    expect(await bareExec(gateway.port, [...query.slice(0, 2), ['spoon', 'x']])).toMatchObject({
      ...{ status: 400, code: 'parameter-refused', detail: 'a checkout is named by both spoon and branch' },
    });
  });
});

describe('a clone', () => {
  const of = (branch: string, more: Partial<NonNullable<Checkout['clone']>> = {}): Checkout => ({
    spoon: 'clones',
    branch,
    clone: { url: server.url, ...more },
  });
  const leftIn = async (where = box): Promise<string> =>
    (await inHome('cd Code/clones 2>/dev/null && ls -A', where)).out;

  it('is shallow, on its branch, whole, and told as it comes; the next finds it as it is', async () => {
    const fetchesBefore = server.fetches;
    const look = 'git branch --show-current; git log --format=%s; git remote get-url origin; git status --short';
    const ran = await run(of('feature/a'), look);
    expect(ran).toMatchObject({ code: 0, out: `feature/a\non feature/a\n${server.url}\n` });
    expect(ran.err).toMatch(/remote: |objects/);
    expect(ran.err).not.toContain('.spoonbox-clone');
    const fetches = server.fetches;
    expect(fetches).toBeGreaterThan(fetchesBefore);
    expect(await run(of('feature/a', { ref: 'main' }), 'git switch -qc mine; git branch --show-current')).toEqual({
      ...{ code: 0, out: 'mine\n', err: '', message: '' },
    });
    expect(server.fetches).toBe(fetches);
    expect((await inHome('ls -A Code/clones/feature')).out).toBe('a\n');
  });

  it('has the history and the ref that are asked for, in a directory that was there and empty', async () => {
    await inHome('mkdir -p "Code/clones/whole thing"');
    const ran = await run(of('whole thing', { ref: 'b', depth: 0 }), 'git branch --show-current; git log --format=%s');
    expect(ran).toMatchObject({ code: 0, out: 'b\non b\ncommit 2\ncommit 1\n' });
  });

  it('does not touch what is there and no checkout', async () => {
    await inHome('mkdir -p Code/clones/full; echo mine >Code/clones/full/file.txt');
    const ran = await run(of('full', { ref: 'main' }), 'true');
    expect(ran).toMatchObject({ code: null, message: expect.stringContaining('Code/clones/full is there, not empty') });
    expect((await inHome('cat Code/clones/full/file.txt; ls -A Code/clones/full')).out).toBe('mine\nfile.txt\n');
  });

  it('that fails says it in the words of git, and leaves nothing', async () => {
    const before = await leftIn();
    const ran = await run(of('none', { ref: 'no-such-branch' }), 'touch ran');
    expect(ran).toMatchObject({ code: null, message: expect.stringContaining('no-such-branch not found') });
    const gone = await run(of('none', { url: 'http://127.0.0.1:1/shop.git', ref: 'main' }), 'touch ran');
    expect(gone.message).toMatch(/unable to access .*127\.0\.0\.1/);
    expect(await leftIn()).toBe(before);
  });

  it('whose client goes away is ended, leaves nothing, and is made by the next one', async () => {
    const before = await leftIn();
    const job = await beginHeld(of('cut', { ref: 'main' }), 'true');
    job.socket.close(1000);
    await vi.waitFor(async () => expect(await boxes.processes(box.containerId)).toEqual([]));
    server.letGo();
    expect(await leftIn()).toBe(before);
    expect(await run(of('cut', { ref: 'main' }), 'git log --format=%s')).toMatchObject({ code: 0, out: 'commit 2\n' });
  });

  it('that is killed leaves nothing in its place, and what it left is taken away by the next; one that is under way is not', async () => {
    const before = (await leftIn()).split('\n');
    const killed = await beginHeld(of('killed', { ref: 'main' }), 'true');
    await inHome("pkill -9 -f '[C]ode/clones/killed'; pkill -9 git");
    expect((await ended(killed)).code).toBeNull();
    server.letGo();
    const left = (await leftIn()).split('\n').filter((name) => !before.includes(name));
    expect(left).toHaveLength(2); // its lock, and what it had by then
    expect(left.every((name) => name.startsWith('.spoonbox-clone-'))).toBe(true);
    const underWay = await beginHeld(of('under-way', { ref: 'main' }), 'cat file.txt');
    await inHome(`cd Code/clones; mkdir .spoonbox-clone-1.1.1.another-box; touch .spoonbox-clone-1.1.1.another-box/x`);
    expect(await run(of('killed', { ref: 'main' }), 'cat file.txt')).toMatchObject({ code: 0, out: 'commit 2\n' });
    server.letGo();
    expect(await ended(underWay)).toMatchObject({ code: 0, out: 'commit 2\n' });
    expect((await leftIn()).split('\n').toSorted()).toEqual([...before, 'killed', 'under-way'].toSorted());
  });

  it('that takes too long is ended, and says so', async () => {
    const jobs = { commands: commandsOn(boxes.connect), apiToken };
    const hasty = await world.gateway({ jobs, limits: { checkoutWithinMs: 1_500 } });
    const before = await leftIn();
    server.holds = true;
    const query = queryOf(of('late', { ref: 'main' }));
    const ran = await ended(await bareJob(hasty.port, box.user, ['true'], query));
    server.holds = false;
    server.letGo();
    expect(ran).toMatchObject({ code: null, message: expect.stringContaining('it was not there after 2 s') });
    expect(await boxes.processes(box.containerId)).toEqual([]);
    expect(await leftIn()).toBe(before);
  });

  it('whose place was taken meanwhile is refused, and leaves nothing', async () => {
    const before = await leftIn();
    const job = await beginHeld(of('taken', { ref: 'main' }), 'true');
    await inHome('mkdir Code/clones/taken; echo mine >Code/clones/taken/x');
    server.letGo();
    expect((await ended(job)).message).toContain('Code/clones/taken cannot be put in its place');
    expect((await inHome('cat Code/clones/taken/*; rm -r Code/clones/taken')).out).toBe('mine\n');
    expect(await leftIn()).toBe(before);
  });

  it('of eight at once is made once, and all start in it', async () => {
    const fetches = server.fetches;
    const all = await Promise.all(
      Array.from({ length: 8 }, () => run(of('shared', { ref: 'c' }), 'pwd -P; git log --format=%s')),
    );
    for (const ran of all) expect(ran).toMatchObject({ code: 0, out: `${home}/Code/clones/shared\non c\n` });
    expect((await inHome('ls -A Code/clones/shared')).out).toBe('.git\nfile.txt\n');
    expect(await leftIn()).not.toContain('.spoonbox');
    // Each clone fetches in two requests.
    expect(server.fetches - fetches).toBeLessThanOrEqual(2);
  });

  it('tells a terminal what git does, before its shell starts in it', async () => {
    const checkout = of('shown', { ref: 'main' });
    const client = await open({ port: gateway.port, token: await world.token(box.user, { checkout }) });
    await client.message('hello');
    client.type('cat file.txt; exit\n');
    await client.sees('commit 2\r\n');
    await client.closed;
    const shown = client.messages.flatMap((one) => (one.type === 'status' ? [one.message] : []));
    expect(shown.join('\n')).toMatch(/remote: |objects/);
    expect(pathOf(checkout)).toBe('Code/clones/shown');
  });

  it('in an image without git says so', async () => {
    const bare = await readyBox({ HostConfig: { Binds: ['/dev/null:/usr/bin/git:ro'] } });
    expect((await run(of('x', { ref: 'main' }), 'true', bare)).message).toContain(
      'git is not in the image of this box',
    );
    expect(await run({ spoon: 'clones', branch: 'x' }, 'pwd', bare)).toMatchObject({ code: 0 });
  });
});

describe('a credential', () => {
  const password = 'git:a-very-secret-token';
  let tls: GitServer;
  let other: GitServer;
  let own: typeof box;
  beforeAll(async () => {
    tls = await startGitServer({ branches: [], tls: true });
    other = await startGitServer({ branches: [], tls: true });
    own = await readyBox({ Env: ['FORGE_TOKEN=a-very-secret-token', 'FORGE_PAIR=git:a-very-secret-token', 'EMPTY='] });
    const certificates = JSON.stringify(tls.certificate + other.certificate);
    await inHome(`printf %b ${certificates} >ca.pem; git config --global http.sslCAInfo ~/ca.pem`, own);
    await inHome('git config --global credential.helper store', own);
    tls.password = password;
  });
  afterAll(async () => {
    await tls?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
  });
  const of = (branch: string, credential?: string): Checkout => ({
    spoon: 'private',
    branch,
    clone: { url: tls.url, ref: 'main', ...(credential !== undefined && { credential }) },
  });

  it.each(['FORGE_TOKEN', 'FORGE_PAIR'])('in %s is shown to its server, and is nowhere else', async (variable) => {
    const job = await beginHeld(of(variable, variable), 'cat file.txt; cat .git/config', tls, own);
    const commands = (await boxes.processes(own.containerId)).join('\n');
    expect(commands).toContain('clone');
    tls.letGo();
    const ran = await ended(job);
    expect(ran).toMatchObject({ code: 0, out: expect.stringContaining('commit 2\n') });
    const everywhere = `${commands}${JSON.stringify(ran)}${world.logged.join('')}`;
    expect(everywhere).not.toContain('secret-token');
    expect((await inHome('cat ~/.git-credentials 2>/dev/null; grep -rl secret-token . ; true', own)).out).toBe('');
    expect(tls.authorizations).toContain(`Basic ${Buffer.from(password).toString('base64')}`);
  });

  it('that is not set in the box, or none at all, is no clone, and nobody is asked for one', async () => {
    for (const name of ['MISSING', 'EMPTY']) {
      expect((await run(of('x', name), 'true', own)).message).toContain(`the variable ${name}, which is to hold`);
    }
    expect(await run(of('x'), 'true', own)).toMatchObject({ code: null, message: expect.stringContaining('Username') });
  });

  it('is not shown to a server that the first one points to', async () => {
    other.password = password;
    tls.redirectTo = new URL(other.url).origin;
    const ran = await run(of('away', 'FORGE_TOKEN'), 'true', own);
    tls.redirectTo = null;
    expect(ran.code).toBeNull();
    expect(other.authorizations.length).toBeGreaterThan(0);
    expect(other.authorizations.every((shown) => shown === '')).toBe(true);
  });
});
