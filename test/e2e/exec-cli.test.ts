import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UserName } from '#shared/identity.ts';
import { type CliProcess, runCli, startCli } from '../cli/cli-run.ts';
import { kubernetesExec } from '../gateway/jobs-world.ts';
import { apiToken, type ControllerProcess } from '../support/controller-process.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { boxOf, createInstallation, type Installation, reach, ready, until } from './installation.ts';

/** Commands in boxes, by real processes: the box is started for them, and they leave nothing. */

let installation: Installation;
let controller: ControllerProcess;
let gateway: GatewayProcess;
beforeAll(async () => {
  installation = await createInstallation();
  gateway = await installation.gateway();
  controller = await installation.controller();
});
afterAll(() => installation[Symbol.asyncDispose]());

test('exec starts the box, passes streams and arguments as they are, and exits with the command’s code', async () => {
  const user = installation.newUser('alice');
  const script = 'echo "<$1>"; echo err >&2; pwd; cat; exit 7';
  const args = ['exec', user, '--', 'sh', '-c', script, 'sh', "a 'b' $c --help"];
  const ran = await runCli(args, { ...reach(controller), input: 'the input' });
  expect(ran).toEqual({ code: 7, out: "<a 'b' $c --help>\n/home/spoon\nthe input", err: 'err\n' });
  const missing = await runCli(['exec', user, 'no-such-command'], reach(controller));
  expect(missing).toMatchObject({ code: 127, out: '' });
  expect(missing.err).toContain('no-such-command: not found');
  const empty = await runCli(['exec', '-n', '--directory', '.', user, 'wc', '-c'], {
    ...reach(controller),
    input: 'x',
  });
  expect(empty).toMatchObject({ code: 0, out: '0\n' });
  const { leases } = await boxOf(controller, user);
  expect(leases).toEqual([]);
});

test('exec passes 10 MB both ways whole, by files', async () => {
  const user = installation.newUser('bob');
  const folder = await mkdtemp(join(tmpdir(), 'spoonbox-exec-'));
  try {
    const bytes = randomBytes(10_000_000);
    await writeFile(join(folder, 'bytes'), bytes);
    const { child, ended } = startCli(['exec', user, 'cat'], reach(controller));
    const input = await open(join(folder, 'bytes'));
    const hash = createHash('sha256');
    child.stdout?.on('data', (chunk: Buffer) => hash.update(chunk));
    if (child.stdin) input.createReadStream().pipe(child.stdin);
    expect((await ended).code).toBe(0);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a signal here ends the command there', async () => {
  const user = installation.newUser('carol');
  const { cli, containerId } = await started(user, 'sleep 1000 & sleep 1001');
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
    const { cli: other } = await started(user, 'sleep 1002');
    other.child.kill(signal);
    expect((await other.ended).code).toBe(code);
  }
  cli.child.kill('SIGKILL');
  await until('nothing is left', async () => {
    const processes = await installation.processes(containerId);
    return !processes.some((command) => command.includes('sleep 100'));
  });
  await until('no lease is left', async () => (await boxOf(controller, user)).leases.length === 0);
});

test('a reap ends the command, and exec says why', async () => {
  const user = installation.newUser('dave');
  const { cli } = await started(user, 'sleep 1000');
  expect((await boxOf(controller, user)).leases).toMatchObject([{ kind: 'job', holder: 'command sh' }]);
  await runCli(['reap', user, '--wait'], reach(controller));
  const reaped = await cli.ended;
  expect(reaped.code).toBe(255);
  expect(reaped.err).toContain('an operator reaped the box');
});

test("Kubernetes' own client runs a command in a box that is not there yet", async () => {
  const user = installation.newUser('erin');
  const ran = await kubernetesExec(installation.gatewayPort, user, ['sh', '-c', 'cat; exit 3'], {
    stdin: Buffer.from('by kubernetes'),
    token: apiToken,
  });
  expect(ran.stdout.toString()).toBe('by kubernetes');
  expect(ran.status.details?.causes).toEqual([{ reason: 'ExitCode', message: '3' }]);
  expect((await ready(controller, user)).phase).toBe('ready');
});

test('a gateway that stops ends its commands, and exec says so', async () => {
  const user = installation.newUser('frank');
  const { cli, containerId } = await started(user, 'sleep 1000');
  await gateway.stop();
  const ended = await cli.ended;
  expect(ended.code).toBe(255);
  expect(ended.err).toContain('the gateway restarts');
  expect((await installation.processes(containerId)).some((command) => command.includes('sleep 1000'))).toBe(false);
  expect((await runCli(['exec', user, 'true'], reach(controller))).code).toBe(69);
});

/** `spoonbox exec` whose script runs. */
async function started(user: UserName, script: string): Promise<{ cli: CliProcess; containerId: string }> {
  const cli = startCli(['exec', user, 'sh', '-c', `echo begins; ${script}`], reach(controller));
  await until('the script runs', () => {
    if (cli.child.exitCode !== null) throw new Error(`the CLI ended: ${cli.out()}${cli.err()}`);
    return cli.out().includes('begins');
  });
  const { containerId } = await ready(controller, user);
  return { cli, containerId: containerId ?? '' };
}
