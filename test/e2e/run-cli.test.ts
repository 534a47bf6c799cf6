import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UserName } from '#shared/identity.ts';
import { type CliProcess, runCli, startCli } from '../cli/cli-run.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { boxOf, createInstallation, type Installation, reach, ready, until } from './installation.ts';

/** `spoonbox run`: a box is held exactly while a command runs in it. */

let installation: Installation;
let controller: ControllerProcess;
beforeAll(async () => {
  installation = await createInstallation();
  await installation.gateway();
  controller = await installation.controller();
});
afterAll(() => installation[Symbol.asyncDispose]());

test('run starts the box, passes streams and the exit code, and leaves no lease', async () => {
  const user = installation.newUser('alice');
  const args = ['run', user, '--holder', 'agent-7', '--', 'sh', '-c', 'cat; echo err >&2; sleep 1; exit 7'];
  const ran = await runCli(args, { ...reach(controller), input: 'the input' });
  expect(ran).toEqual({ code: 7, out: 'the input', err: 'err\n' });
  const { leases, endedLeases } = await boxOf(controller, user);
  expect(leases).toEqual([]);
  expect(endedLeases).toContainEqual(
    expect.objectContaining({ kind: 'job', holder: 'agent-7', endReason: 'released' }),
  );
});

test('a signal here ends the command there, and then the lease', { timeout: 180_000 }, async () => {
  const user = installation.newUser('bob');
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
    const { cli, containerId } = await started(user, 'sleep 1000');
    expect(await ownLeases(user)).toHaveLength(1);
    cli.child.kill(signal);
    cli.child.kill(signal);
    expect((await cli.ended).code).toBe(code);
    expect(await ownLeases(user)).toEqual([]);
    await until('the command has ended', async () => !(await runs(containerId, 'sleep 1000')));
  }
});

test('a reader that has enough ends the command, and then the lease', async () => {
  const user = installation.newUser('frank');
  const { cli, containerId } = await started(user, 'yes');
  cli.child.stdout?.destroy();
  expect(await cli.ended).toMatchObject({ code: 0, err: '' });
  expect(await ownLeases(user)).toEqual([]);
  await until('the command has ended', async () => !(await runs(containerId, 'yes')));
});

test('a client that is killed leaves a lease for its ttl only, and no command', async () => {
  const user = installation.newUser('carol');
  const { cli, containerId } = await started(user, 'sleep 1001', '--ttl', '10s');
  cli.child.kill('SIGKILL');
  await until('the command has ended', async () => !(await runs(containerId, 'sleep 1001')));
  await until('no lease is left', async () => (await boxOf(controller, user)).leases.length === 0);
});

test('a reap ends it with 255, and it says why', async () => {
  const user = installation.newUser('dave');
  const { cli } = await started(user, 'sleep 1000');
  await controller.ask('POST', `/v1/boxes/${user}/actions`, { action: 'reap' });
  const ended = await cli.ended;
  expect(ended.code).toBe(255);
  expect(ended.err).toMatch(/^spoonbox: lease job-\w+ on the box of .* is lost: an operator reaped the box/);
});

test('a box that is not ready in time, a class that is not there, a command that is missing: each has its code', async () => {
  const user = installation.newUser('erin');
  const late = await runCli(['run', user, '--wait', '0s', '--', 'true'], reach(controller));
  expect(late).toMatchObject({ code: 75, out: '' });
  expect(late.err).toMatch(/is not ready after 0 s: /);
  expect(await ownLeases(user)).toEqual([]);
  const unknown = await runCli(['run', user, '--class', 'nope', '--', 'true'], reach(controller));
  expect(unknown).toMatchObject({ code: 1 });
  expect(unknown.err).toContain('there is no class nope');
  const missing = await runCli(['run', user], reach(controller));
  expect(missing).toMatchObject({ code: 2 });
  expect(missing.err).toContain('spoonbox run --help');
});

/** Those that a client took, not the gateway for its command. */
async function ownLeases(user: UserName): Promise<string[]> {
  const { leases } = await boxOf(controller, user);
  return leases.flatMap(({ id }) => (id.startsWith('exec:') ? [] : [String(id)]));
}

async function runs(containerId: string, command: string): Promise<boolean> {
  return (await installation.processes(containerId)).some((line) => line.includes(command));
}

/** `spoonbox run` whose script runs. */
async function started(
  user: UserName,
  script: string,
  ...options: string[]
): Promise<{ cli: CliProcess; containerId: string }> {
  const cli = startCli(['run', ...options, user, 'sh', '-c', `echo begins; ${script}`], reach(controller));
  await until('the script runs', () => {
    if (cli.child.exitCode !== null) throw new Error(`the CLI ended: ${cli.out()}${cli.err()}`);
    return cli.out().includes('begins');
  });
  const { containerId } = await ready(controller, user);
  return { cli, containerId };
}
