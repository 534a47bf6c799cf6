import { createHash, randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Spoonbox } from '../../controller/sdk/connect.ts';
import { CommandLost, LeaseLost, TooMuchOutput } from '../../controller/sdk/errors.ts';
import { boxOf, createInstallation, type Installation, reach, until } from '../e2e/installation.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import type { UserName } from '#shared/identity.ts';

/** The SDK against a whole installation of real processes. */

let installation: Installation;
let controller: ControllerProcess;
let spoonbox: Spoonbox;
beforeAll(async () => {
  installation = await createInstallation();
  await installation.gateway();
  controller = await installation.controller();
  spoonbox = connect(reach(controller));
});
afterAll(() => installation[Symbol.asyncDispose]());

const leaseIds = async (user: UserName): Promise<string[]> =>
  (await boxOf(controller, user)).leases.map(({ id }) => id);

test('a lease starts the box, tells what it waits for, and is given back at the end of its block', async () => {
  const user = installation.newUser('alice');
  const messages: string[] = [];
  {
    await using box = await spoonbox.lease({ user, holder: 'agent-7' });
    expect(await leaseIds(user)).toEqual([box.id]);
    const view = await box.ready({ onProgress: ({ message }) => messages.push(message) });
    expect(view.ready).toBe(true);
    expect((await box.ready()).containerId).toBe(view.containerId);
    expect(box.lost.aborted).toBe(false);
  }
  expect(messages.length).toBeGreaterThan(0);
  expect(await leaseIds(user)).toEqual([]);
});

test('exec passes input, output, words, folder, environment and exit code as they are', async () => {
  const user = installation.newUser('bob');
  await using box = await spoonbox.lease({ user, holder: 'agent-7' });
  const script = 'echo "<$1> $A"; echo err >&2; pwd; cat; exit 7';
  const ran = await box.exec(['sh', '-c', script, 'sh', "a 'b' $c"], {
    ...{ stdin: 'the input', env: { A: 'x y="z"' }, cwd: '.' },
  });
  expect(ran).toEqual({ exitCode: 7, stdout: `<a 'b' $c> x y="z"\n/home/spoon\nthe input`, stderr: 'err\n' });
  expect(await box.exec(['cat'])).toEqual({ exitCode: 0, stdout: '', stderr: '' });

  const bytes = randomBytes(5_000_000);
  const stdout = new PassThrough();
  const [came, { exitCode }] = await Promise.all([
    buffer(stdout),
    box.exec(['cat'], { stdin: Readable.from([bytes]), stdout }).finally(() => stdout.end()),
  ]);
  const hash = (all: Buffer): string => createHash('sha256').update(all).digest('hex');
  expect([exitCode, came.length, hash(came)]).toEqual([0, bytes.length, hash(bytes)]);

  const endless = box.exec(['yes'], { maxOutputBytes: 100_000 });
  await expect(endless).rejects.toThrow(TooMuchOutput);
  const broken = new PassThrough();
  setImmediate(() => broken.destroy());
  await expect(box.exec(['yes'], { stdout: broken })).rejects.toThrow(CommandLost);
  await expect(box.exec(['yes'], { stdout: broken })).rejects.toThrow('its output cannot be written');
  const { containerId } = await box.ready();
  await until('no command is left', async () => {
    return !(await installation.processes(containerId ?? '')).some((command) => command.includes('yes'));
  });
});

test('a signal ends the command there, and the box is still held', async () => {
  const user = installation.newUser('carol');
  await using box = await spoonbox.lease({ user, holder: 'agent-7' });
  const { containerId } = await box.ready();
  const stop = new AbortController();
  const stdout = new PassThrough();
  const running = box.exec(['sh', '-c', 'echo begins; sleep 1000'], { stdout, signal: stop.signal });
  stdout.once('data', () => stop.abort(new Error('enough')));
  await expect(running).rejects.toThrow('enough');
  await until('nothing is left of it', async () => {
    return !(await installation.processes(containerId ?? '')).some((command) => command.includes('sleep 1000'));
  });
  expect(box.lost.aborted).toBe(false);
  expect(await leaseIds(user)).toContain(box.id);
});

test('a reap is a loss with its reason: of what runs, of what waits, and of every later call', async () => {
  const user = installation.newUser('dave');
  await using box = await spoonbox.lease({ user, holder: 'agent-7' });
  await box.ready();
  const stdout = new PassThrough();
  const running = box.exec(['sh', '-c', 'echo begins; sleep 1000'], { stdout });
  stdout.once('data', () => void controller.ask('POST', `/v1/boxes/${user}/actions`, { action: 'reap' }));
  await expect(running).rejects.toThrow('an operator reaped the box');
  await expect(running).rejects.toThrow(LeaseLost);
  expect(box.lost.reason).toMatchObject({ name: 'LeaseLost', reason: 'reaped' });
  await expect(box.exec(['true'])).rejects.toThrow(LeaseLost);
  await expect(box.ready()).rejects.toThrow(LeaseLost);
  expect(await box.release()).toBe('ended');
});

test('a token of role jobs is enough: for leases, and for commands with or without one', async () => {
  const user = installation.newUser('erin');
  const { token } = await spoonbox.api.makeToken({ name: 'agents', role: 'jobs' }, AbortSignal.timeout(30_000));
  const jobs = connect({ server: controller.url, token });
  {
    await using box = await jobs.lease({ user, holder: 'agent-7' });
    await box.ready();
    expect(await box.exec(['echo', 'held'])).toMatchObject({ exitCode: 0, stdout: 'held\n' });
  }
  expect(await jobs.exec(user, ['echo', 'done'])).toMatchObject({ exitCode: 0, stdout: 'done\n' });
  expect((await jobs.boxes({ selector: `user=${user}` })).map((box) => box.user)).toContain(user);
  expect((await jobs.box(user)).leases).toEqual([]);
});

test('it is held over a controller that is killed, a Redis that is away, and one that was emptied; a watch goes on', {
  timeout: 300_000,
}, async () => {
  const user = installation.newUser('frank');
  await using box = await spoonbox.lease({ user, holder: 'agent-7', ttlMs: 45_000 });
  const { containerId } = await box.ready();
  const stdin = new PassThrough();
  const running = box.exec(['sh', '-c', 'read line; echo "$line"'], { stdin });
  running.catch(() => {}); // where the test fails before it is awaited
  const seen: string[] = [];
  const stop = new AbortController();
  const watching = (async () => {
    for await (const event of spoonbox.watch({ user, signal: stop.signal })) seen.push(event.type);
  })();
  await until('the watch has the present state', () => seen.includes('synced'));

  const expiresAt = async (): Promise<number> => {
    const { leases } = await boxOf(controller, user).catch(() => ({ leases: [] })); // while Redis is away
    return leases.find(({ id }) => id === box.id)?.expiresAt ?? 0;
  };
  const renewed = async (before: number): Promise<void> => {
    await until('it is renewed', async () => (await expiresAt()) > before, 90_000);
  };
  let before = await expiresAt();
  await controller.kill();
  controller = await installation.controller({ SPOON_CONTROLLER_PORT: new URL(controller.url).port });
  await renewed(before);
  before = await expiresAt();
  await installation.world.redis.stop();
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  await installation.world.redis.restart();
  await renewed(before);
  await installation.world.redis.flush();
  await until('it is taken again', async () => (await expiresAt()) > 0, 90_000);

  expect(box.lost.aborted).toBe(false);
  expect((await box.ready()).containerId).toBe(containerId);
  seen.length = 0;
  await controller.ask('PUT', `/v1/boxes/${user}/leases/other`, { kind: 'job', holder: 'test', ttlMs: 10_000 });
  await until('the watch has gone on', () => seen.includes('box'));
  stop.abort(new Error('enough'));
  await expect(watching).rejects.toThrow('enough');
  stdin.end('still here\n');
  expect(await running).toMatchObject({ exitCode: 0, stdout: 'still here\n' });
});
