import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BoxList, TerminalTokenReply } from '#shared/api-schemas.ts';
import type { UserName } from '#shared/identity.ts';
import { type CliProcess, runCli, startCli } from '../cli/cli-run.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { handsOf } from '../support/docker.ts';
import { absent, boxOf, createInstallation, type Installation, reach, ready, until } from './installation.ts';

/** The CLI as a person uses it: in a terminal of its own, against real processes and real boxes. */

let installation: Installation;
let controller: ControllerProcess;
beforeAll(async () => {
  installation = await createInstallation();
  await installation.gateway();
  controller = await installation.controller();
});
afterAll(() => installation[Symbol.asyncDispose]());

test('attach gives a prompt, its exit code is the shell’s, and the terminal is as it was', async () => {
  const user = installation.newUser('alice');
  const cli = await attached(user);
  type(cli, 'tty; stty size\r');
  await prompts(cli, 2);
  expect(cli.out()).toMatch(/\/dev\/pts\/\d+\r\n30 100\r\n/);
  // What a full-screen program does: bytes pass as they are, a line feed is a line feed.
  type(cli, "stty -opost; printf '<1\\n2\\r\\n3>\\r\\n'; stty opost\r");
  await prompts(cli, 3);
  expect(cli.out()).toContain('<1\n2\r\n3>');
  type(cli, 'exit 7\r');
  const { code, out } = await cli.ended;
  expect(code).toBe(7);
  expectRestored(out);
});

test('~. leaves the terminal as it was and the box as it is', async () => {
  const user = installation.newUser('bob');
  const cli = await attached(user);
  const { containerId } = await ready(controller, user);
  type(cli, 'echo on the $((1+1))nd line\r');
  await until('the output', () => cli.out().includes('on the 2nd line'));
  type(cli, '~.');
  const { code, out } = await cli.ended;
  expect(code).toBe(0);
  expect(out).toContain(`left the terminal of ${user}`);
  expectRestored(out);
  await until('its lease is given back', async () => (await boxOf(controller, user)).leases.length === 0);
  expect(await ready(controller, user)).toMatchObject({ containerId });
});

test('an attached person is told that the box died, and types on in a new shell', async () => {
  const user = installation.newUser('carol');
  const cli = await attached(user);
  const { containerId } = await ready(controller, user);
  await handsOf(installation.world.docker).kill(containerId);
  await prompts(cli, 2);
  expect(cli.out()).toContain('Only the home survives a box');
  type(cli, 'exit 5\r');
  const { code, out } = await cli.ended;
  expect(code).toBe(5);
  expectRestored(out);
});

test('lease, get, describe, token, reap and release tell what is, and the reap tells who is attached', async () => {
  const user = installation.newUser('dave');
  const at = reach(controller);
  const taken = await runCli(['lease', user, '--id', 'job-1', '--holder', 'agent-7', '--wait', '60s'], at);
  expect(taken).toMatchObject({ code: 0, out: 'job-1\n' });
  expect(taken.err).toContain('the box is ready');

  const cli = await attached(user);
  const listed = await runCli(['get', 'boxes'], at);
  expect(listed.out).toMatch(new RegExp(`^${user} +ready +active +1 job, 1 terminal `, 'm'));
  const { items } = BoxList.parse(JSON.parse((await runCli(['get', 'boxes', '-o', 'json'], at)).out));
  expect(items.find((box) => box.user === user)).toMatchObject({ phase: 'ready', ready: true });
  const described = await runCli(['describe', 'box', user], at);
  expect(described.out).toContain('held by job lease job-1 of agent-7');
  expect(described.out).toContain('Only the home survives');
  const token = await runCli(['token', user, '-o', 'json'], at);
  const { url } = TerminalTokenReply.parse(JSON.parse(token.out));
  expect(new URL(url).port).toBe(String(installation.gatewayPort));

  const reaped = await runCli(['reap', user, '--wait'], at);
  expect(reaped).toMatchObject({ code: 0 });
  expect(reaped.out).toContain('is gone; only the home survives');
  expect((await absent(controller, user)).lastReap?.cause).toBe('reap');
  expect(await installation.containers(user)).toEqual([]);
  const { code, out } = await cli.ended;
  expect(code).toBe(255);
  expect(out).toMatch(/operator reaped .*only the home survives/);
  expectRestored(out);

  // What the reap ended is not there to be given back.
  const released = await runCli(['release', user, 'job-1'], at);
  expect(released).toMatchObject({ code: 0, out: `lease job-1 of ${user} had ended before\n` });
});

/** `spoonbox attach` in a terminal, with its first prompt there. */
async function attached(user: UserName): Promise<CliProcess> {
  const cli = startCli(['attach', user], { ...reach(controller), tty: true });
  await prompts(cli, 1);
  return cli;
}

async function prompts(cli: CliProcess, count: number): Promise<void> {
  const seen = (): number => [...stripVTControlCharacters(cli.out()).matchAll(/spoon@[^\n]*:~\$ /g)].length;
  await until(`prompt ${count}`, () => {
    if (cli.child.exitCode !== null) throw new Error(`the CLI ended with ${cli.child.exitCode}: ${cli.out()}`);
    return seen() >= count;
  }).catch((error: unknown) => {
    throw new Error(`${error}; seen: ${JSON.stringify(cli.out())}`);
  });
}

function type(cli: CliProcess, keys: string): void {
  cli.child.stdin?.write(keys);
}

/** The first and the last line are the settings of the terminal before and after. */
function expectRestored(out: string): void {
  const lines = out.trim().split(/\r?\n/);
  expect(lines.at(0)).toMatch(/^[0-9a-f:]+$/);
  expect(lines.at(-1)).toBe(lines.at(0));
}
