import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../cli/cli-run.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { createTestRegistry, type TestRegistry } from '../support/registry.ts';
import { openShell, openTerminal } from '../support/terminal-client.ts';
import { absent, boxOf, createInstallation, type Installation, reach, ready, until } from './installation.ts';
import { smallImage } from './small-image.ts';

/** The life of a box, from nothing to a shell and back to nothing, over an image that has to be pulled first. */

/** A detached box is never gone before. */
const idleMs = 5_000;
/** Progress of a pull is told once a second: this is long enough for it to be seen on its way. */
const pullMs = 3_500;
/** A program that saves its work when it is hung up. (bash at its own prompt runs no trap of HUP, with or without us.) */
const saver = `trap "sleep 0.3; echo saved > ~/saved; exit" HUP; touch ~/waits; while :; do sleep 0.1; done`;

let installation: Installation;
let registry: TestRegistry;
let controller: ControllerProcess;
beforeAll(async () => {
  installation = await createInstallation();
  const { docker } = installation.world.docker;
  const tar = await smallImage(docker);
  registry = await createTestRegistry({ tar, msPerChunk: Math.ceil((pullMs / tar.length) * 256 * 1024) });
  const classes = await installation.classes({ default: { image: registry.reference } });
  await installation.gateway();
  const settings = { SPOON_CLASSES: classes, SPOON_BOX_IMAGE: '', SPOON_AGENT_BOX_IDLE_MS: String(idleMs) };
  controller = await installation.controller(settings);
});
afterAll(async () => {
  const { docker } = installation.world.docker;
  await installation[Symbol.asyncDispose]();
  await registry.close();
  await docker
    .getImage(registry.reference)
    .remove()
    .catch((error: { statusCode?: number }) => {
      if (error.statusCode !== 404) throw error; // no test got as far as pulling it
    });
});

test('a terminal gets a box whose image is pulled, the box is reaped when it is left alone, and the next one has the same home', async () => {
  const user = installation.newUser('life');
  const story = await installation.follow(user);
  const terminal = await openTerminal(controller, user, { size: { cols: 101, rows: 37 } });

  const hello = await terminal.message('hello');
  const told = terminal.messages.filter((message) => message.type === 'status');
  const pulls = told.filter(({ step, progress }) => step === 'pulling' && progress !== null && progress.totalBytes > 0);
  expect(pulls.length).toBeGreaterThan(1);
  expect(pulls[0]?.progress).toMatchObject({ image: registry.reference, layers: 1 });
  expect(await ready(controller, user)).toMatchObject({
    phase: 'ready',
    containerId: hello.containerId,
    class: 'default',
  });

  expect(await terminal.run('stty size')).toEqual({ code: 0, output: '37 101' });
  terminal.tell({ type: 'resize', cols: 133, rows: 41 });
  await until('the shell sees the new size', async () => (await terminal.run('stty size')).output === '41 133');

  const wide = 'Grüße, 世界 🐚 e\u0301';
  const bytes = Buffer.from(`echo ${wide}; exit_code() { return 3; }\r`);
  // Every character of more than one byte is split between frames.
  for (const byte of bytes) terminal.type(Buffer.of(byte));
  await terminal.sees(`\n${wide}\r\n`);
  expect((await terminal.run('exit_code')).code).toBe(3);

  expect((await terminal.run('echo kept > ~/note; echo lost > /tmp/note; cat ~/note /tmp/note')).output).toBe(
    'kept\nlost',
  );
  const detachedAt = performance.now();
  await terminal.detach();
  const left = await until('nothing is attached', async () => {
    const box = await boxOf(controller, user);
    return box.leases.length === 0 ? box : null;
  });
  expect(left).toMatchObject({ phase: 'ready', containerId: hello.containerId });

  const gone = await absent(controller, user);
  expect(story.at('kill') - detachedAt).toBeGreaterThanOrEqual(idleMs);
  expect(gone.lastReap?.cause).toBe('idle');
  expect(await installation.containers(user)).toEqual([]);

  const again = await openShell(controller, user);
  expect((await again.message('hello')).containerId).not.toBe(hello.containerId);
  expect(await again.run('cat ~/note; ls /tmp/note 2>/dev/null')).toEqual({ code: 2, output: 'kept' });
  await again.detach();
  expect(story.count('create')).toBe(2);
});

test('a program that traps the hang-up has saved its work when an idle box is reaped, and describe says why it was', async () => {
  const user = installation.newUser('saver');
  const shell = await openShell(controller, user);
  // In a session of its own it is no part of the terminal, and outlives it.
  await shell.run(`{ setsid bash -c '${saver}' < /dev/null > /dev/null 2>&1 & }`);
  await until('the program waits', async () => (await shell.run('ls ~/waits')).code === 0);
  await shell.detach();
  const box = await ready(controller, user);
  expect((await installation.processes(box.containerId)).join('\n')).toContain('echo saved');

  await absent(controller, user);
  const described = await runCli(['describe', 'box', user], reach(controller));
  expect(described.out).toMatch(/Last reap: .*(nobody|idle)/);
  expect(described.out).toContain('only the home survive');

  const again = await openShell(controller, user);
  expect((await again.run('cat ~/saved')).output).toBe('saved');
  await again.detach();
});

test("an operator's reap tells the attached terminal why and what survives, and the next terminal has the home", async () => {
  const user = installation.newUser('reaped');
  const shell = await openShell(controller, user);
  await shell.run('echo kept > ~/note; echo lost > /tmp/note');
  shell.type(`bash -c '${saver}'\n`);
  const watcher = await openShell(controller, user);
  await until('the program waits', async () => (await watcher.run('ls ~/waits')).code === 0);
  const { status } = await controller.ask('POST', `/v1/boxes/${user}/actions`, { action: 'reap' });
  expect(status).toBe(202);

  const exit = await shell.message('exit');
  expect(exit).toMatchObject({ code: null, reason: 'reaped' });
  expect(exit.message).toMatch(/operator.*only the home survives/);
  expect(await shell.closed).toMatchObject({ code: 4410 });
  const gone = await absent(controller, user);
  expect(gone.lastReap?.cause).toBe('reap');
  expect(gone.why.join('\n')).toContain('only the home survives');

  const again = await openShell(controller, user);
  expect(await again.run('cat ~/note ~/saved; ls /tmp/note 2>/dev/null')).toEqual({ code: 2, output: 'kept\nsaved' });
  await again.detach();
});
