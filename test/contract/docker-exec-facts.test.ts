import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import type Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createExec, openExecStream } from '../../gateway/src/exec/exec-calls.ts';
import { never, newUser, plainSpec } from './box-runtime-harness.ts';
import { type DockerHarness, makeDockerHarness } from './docker-harness.ts';

/**
 * What the gateway builds on, and the engine's reference does not say: when an exec can be resized, what ends a shell, what is
 * left when it is told that one has ended. Pinned on Docker 20.10; what later engines answer differently is named.
 */
describe('an exec of the engine', () => {
  let harness: DockerHarness;
  let docker: Docker;
  let box: string;
  beforeAll(async () => {
    harness = await makeDockerHarness();
    docker = harness.world.docker;
    await harness.runtime.ensureNetwork(never);
    box = await startBox();
  });
  afterAll(() => harness?.dispose());

  async function startBox(): Promise<string> {
    const user = newUser();
    await harness.hands.makeHome(user);
    const { id } = await harness.runtime.create({ user, generation: 1, spec: plainSpec(harness, user) }, never);
    await harness.runtime.start(id, never);
    return id;
  }

  const keys = '\u001eqwertzuiop';
  async function make(script: string, container = box) {
    return await docker.getContainer(container).exec({
      Cmd: ['/bin/sh', '-c', script],
      Env: ['SPOONBOX_SESSION=facts'],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
      DetachKeys: ['ctrl-^', ...keys.slice(1)].join(','),
    });
  }
  /** Starts it, and waits for its first words: then there is a process that has set its traps. */
  async function start(script: string, container = box) {
    const exec = await make(script, container);
    const stream = await openExecStream(docker.modem, exec.id, { Detach: false, Tty: true }, never);
    const said = { text: '', closed: false };
    stream.on('data', (bytes: Buffer) => {
      said.text += bytes.toString();
    });
    stream.on('close', () => {
      said.closed = true;
    });
    await expect.poll(() => said.text).toContain('begun');
    // The engine may pass on the first words before it has noted whose they are.
    await expect.poll(async () => (await exec.inspect()).Pid).toBeGreaterThan(0);
    return { exec, stream, said, pid: (await exec.inspect()).Pid };
  }
  async function processesOf(container: string): Promise<string[]> {
    const { Processes } = Top.parse(await docker.getContainer(container).top({ ps_args: '-o pid,args' }));
    return Processes.map((columns) => columns.slice(1).join(' '));
  }
  async function refusal(call: Promise<unknown>): Promise<{ status: number; message: string }> {
    const error = await call.then(
      () => new Error('the call succeeded, where a refusal was expected'),
      (reason: unknown) => reason,
    );
    const { statusCode, json, message } = Refusal.parse(error);
    return { status: statusCode, message: json?.message ?? message };
  }

  test('that was not started cannot be resized: the engine waits ten seconds for it, and fails', async () => {
    const exec = await make(':');
    expect(await exec.inspect()).toMatchObject({ Running: false, ExitCode: null, Pid: 0 });
    const { status, message } = await refusal(exec.resize({ h: 30, w: 90 }));
    // 500 in every version whose source was read; a plain refusal would do as well.
    expect([400, 409, 500]).toContain(status);
    expect(message).toMatch(/timeout waiting for exec session ready|not started|not running/i);
  });

  test('is resized right after its start, before it has a process, and keeps that size', async () => {
    const exec = await make('sleep 0.5; stty size; echo begun; sleep 60');
    const stream = await openExecStream(docker.modem, exec.id, { Detach: false, Tty: true }, never);
    let text = '';
    stream.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    await exec.resize({ h: 33, w: 99 });
    await expect.poll(() => text).toContain('33 99');
    await hungUp(stream);
  });

  test('cannot be started twice, nor attached again: the second stream opens, says so, and ends', async () => {
    const { exec, stream } = await start('echo begun; sleep 60');
    const again = await openExecStream(docker.modem, exec.id, { Detach: false, Tty: true }, never);
    const said = (await again.toArray()).map(String).join('');
    expect(said).toMatch(/already running/);
    expect(await exec.inspect()).toMatchObject({ Running: true });
    await hungUp(stream);
  });

  test('that ended is known still, says so at once, and cannot be resized', async () => {
    const { exec, stream, said } = await start('echo begun; exit 5');
    await expect.poll(() => said.closed).toBe(true);
    expect(await exec.inspect()).toMatchObject({ Running: false, ExitCode: 5 });
    // 404 in 20.10; later engines may say that it is not running.
    expect([404, 409, 500]).toContain((await refusal(exec.resize({ h: 30, w: 90 }))).status);
    stream.destroy();
  });

  test('that never was is not found', async () => {
    const none = docker.getExec('f'.repeat(64));
    expect((await refusal(none.inspect())).status).toBe(404);
    expect((await refusal(none.resize({ h: 1, w: 1 }))).status).toBe(404);
    const opened = openExecStream(docker.modem, none.id, { Detach: false, Tty: true }, never);
    // In the engine's words, without the JSON around them: people read them in their terminals.
    const words = expect.stringMatching(/^No such exec/i);
    await expect(opened).rejects.toMatchObject({ fault: { kind: 'not-found', status: 404, message: words } });
  });

  test('is not made in a container that is not there', async () => {
    const body = { Cmd: ['true'], AttachStdout: true, AttachStderr: true };
    const made = createExec(docker.modem, 'f'.repeat(64), body, never);
    const message = expect.stringMatching(/^No such container/i);
    const fault = { operation: 'exec-create', kind: 'not-found', status: 404, message };
    await expect(made).rejects.toMatchObject({ fault });
  });

  test('of a box that was paused in between does not start, and does after it goes on', async () => {
    const container = await startBox();
    const exec = await make('echo begun; sleep 60', container);
    await harness.hands.pause(container);
    const opened = openExecStream(docker.modem, exec.id, { Detach: false, Tty: true }, never);
    await expect(opened).rejects.toMatchObject({ fault: { kind: 'conflict', status: 409 } });
    await harness.runtime.unpause(container, never);
    const stream = await openExecStream(docker.modem, exec.id, { Detach: false, Tty: true }, never);
    let text = '';
    stream.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    await expect.poll(() => text).toContain('begun');
    await hungUp(stream);
  });

  test('of a box that was stopped is not found any more, and its stream has ended', async () => {
    const container = await startBox();
    const waiting = await make(':', container);
    const { exec, said } = await start('echo begun; sleep 60', container);
    await harness.runtime.stop(container, 1_000, never);
    await expect.poll(() => said.closed).toBe(true);
    const opened = openExecStream(docker.modem, waiting.id, { Detach: false, Tty: true }, never);
    // A conflict, "is not running", where an engine still remembers it.
    await expect(opened).rejects.toMatchObject({ fault: { status: expect.toSatisfy(isLookAgain) } });
    const state = await exec.inspect().catch((error: unknown) => Refusal.parse(error).statusCode);
    expect(state === 404 || typeof state === 'object').toBe(true);
    expect((await refusal(docker.getContainer(container).top())).status).toBe(409);
  });

  describe('that is hung up by its detach keys', () => {
    test('loses its shell and what the shell runs, and keeps what was told to outlive a hang-up', async () => {
      const container = await startBox();
      const { stream, said, pid } = await start(
        'nohup sleep 4001 >/dev/null 2>&1 & setsid sleep 4002 & sleep 4003 & echo begun; sleep 4004; :',
        container,
      );
      expect(pid).toBeGreaterThan(0);
      const sleeps = async (): Promise<string[]> =>
        (await processesOf(container)).filter((args) => /^sleep 400\d/.test(args)).toSorted();
      // `begun` comes before the last of them is what it becomes.
      await expect.poll(sleeps).toHaveLength(4);
      stream.write(keys);
      await expect.poll(() => said.closed).toBe(true);
      // The kernel sends HUP to the foreground and to the session's leader; a shell without job control shares its group.
      await expect.poll(sleeps).toEqual(['sleep 4001', 'sleep 4002']);
    });

    test('is told as ended with 126 though its shell traps the hang-up and goes on', async () => {
      const container = await startBox();
      const { exec, stream, said } = await start(
        'trap "echo heard > /tmp/heard" HUP; echo begun; while :; do sleep 0.1; done',
        container,
      );
      stream.write(keys);
      await expect.poll(() => said.closed).toBe(true);
      const { Running, ExitCode } = await exec.inspect();
      // Later engines may go on saying that it runs, which is true.
      expect(Running ? 'runs' : ExitCode).toSatisfy((told: unknown) => told === 'runs' || told === 126);
      await expect.poll(async () => (await harness.hands.run(container, ['cat', '/tmp/heard'])).output).toBe('heard');
      expect((await processesOf(container)).some((args) => args.includes('echo heard'))).toBe(true);
    });

    test('gets the first of the keys as input where the rest does not follow', async () => {
      const container = await startBox();
      const { stream, said } = await start('stty raw -echo; echo begun; head -c 3 | od -An -tx1; sleep 60', container);
      stream.write(keys.slice(0, 2));
      await wait(300);
      expect(said.text).not.toContain('1e');
      stream.write('!');
      await expect.poll(() => said.text).toMatch(/1e 71 21/);
      await hungUp(stream);
    });

    test('goes on when its connection is merely cut', async () => {
      const container = await startBox();
      const { stream } = await start('echo begun; sleep 4005', container);
      stream.destroy();
      await wait(1_000);
      expect((await processesOf(container)).some((args) => args.includes('sleep 4005'))).toBe(true);
    });
  });

  async function hungUp(stream: Duplex): Promise<void> {
    stream.write(keys);
    await expect.poll(() => stream.destroyed).toBe(true);
  }
});

const Top = z.object({ Processes: z.array(z.array(z.string())) });
const Refusal = z.object({
  statusCode: z.number(),
  message: z.string(),
  json: z.object({ message: z.string() }).optional().catch(undefined),
});

function isLookAgain(status: unknown): boolean {
  return status === 404 || status === 409;
}
