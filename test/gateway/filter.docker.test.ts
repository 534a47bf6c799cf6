import { randomBytes } from 'node:crypto';
import { lstat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { engineErrorOf } from '#shared/docker.ts';
import { label } from '#shared/identity.ts';
import { readInstallation } from '#shared/installation.ts';
import { listenAt } from '../../gateway/filter/src/socket-file.ts';
import { readFilterSettings } from '../../gateway/filter/src/settings.ts';
import { openExecStream } from '../../gateway/src/exec/exec-calls.ts';
import { createDockerWorld, dockerodeAt, type DockerWorld } from '../support/docker.ts';
import { createEngineProxy } from '../support/engine-proxy.ts';
import { startFilter, type TestFilter } from '../support/filter.ts';
import { startFilterProcess } from '../support/filter-process.ts';
import { rawRequest, requestText } from '../support/raw-http.ts';

/** A gateway's calls through a filtering socket, and that socket as a process. Terminals and jobs: `SPOONBOX_TEST_THROUGH_FILTER=1`. */

let world: DockerWorld;
let filter: TestFilter;
let docker: Docker;
let box: string;
beforeAll(async () => {
  world = await createDockerWorld();
  filter = await startFilter(world.installation);
  docker = await dockerodeAt(filter.address);
  const container = await world.docker.createContainer({
    Image: world.boxImageId,
    Cmd: ['sleep', 'infinity'],
    Labels: { [label.installation]: world.installation, [label.role]: 'box' },
    HostConfig: { Init: true },
  });
  await container.start();
  box = container.id;
});
afterAll(async () => {
  await filter?.[Symbol.asyncDispose]();
  await world?.dispose();
});

const never = new AbortController().signal;

async function run(command: string[], by = docker, tty = true): Promise<{ id: string; stream: Duplex }> {
  const create = { Cmd: command, AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: tty };
  const { id } = await by.getContainer(box).exec(create);
  return { id, stream: await openExecStream(by.modem, id, { Detach: false, Tty: tty }, never) };
}

const upgrade = { Connection: 'Upgrade', Upgrade: 'tcp' };

/** Closes the connection so long after it has written; 0: at once, before anybody can have read it. */
function writeAndGo(path: string, text: string, afterMs: number): Promise<void> {
  return new Promise((resolve) => {
    const client = connect(path, () => {
      client.write(text);
      if (afterMs === 0) client.destroy();
      else setTimeout(() => client.destroy(), afterMs);
    });
    client.on('error', () => {});
    client.once('close', () => resolve());
  });
}

async function allOf(stream: Duplex): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

describe('the stream of an exec', () => {
  it('passes 8 MB both ways whole, and the end of the input without the end of the output', async () => {
    const { id, stream } = await run(['sh', '-c', 'cat; echo after-the-end'], docker, false);
    const sent = randomBytes(8_000_000);
    stream.end(sent);
    const came = await allOf(stream);
    // Frames of 8 bytes of head each: Tty is false.
    const body: Buffer[] = [];
    for (let at = 0; at < came.length; at += 8 + came.readUInt32BE(at + 4)) {
      body.push(came.subarray(at + 8, at + 8 + came.readUInt32BE(at + 4)));
    }
    const printed = Buffer.concat(body);
    expect(printed.subarray(0, sent.length).equals(sent)).toBe(true);
    expect(printed.subarray(sent.length).toString()).toBe('after-the-end\n');
    await vi.waitFor(async () => expect(await docker.getExec(id).inspect()).toMatchObject({ ExitCode: 0 }));
  });

  it('is held by a client that does not read, and nothing of it is kept here', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const { stream } = await run(['sh', '-c', 'stty raw; head -c 30000000 /dev/zero']);
    await delay(700);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4_000_000);
    expect((await allOf(stream)).length).toBe(30_000_000);
  });

  it('is left open on neither side where its client goes, or its process ends', async () => {
    const left = await run(['cat']);
    left.stream.destroy();
    const ended = await run(['true']);
    await allOf(ended.stream);
    await vi.waitFor(() => expect(filter.filter.streams).toBe(0));
  });

  it('goes on for longer than the engine may take for an answer', async () => {
    await using hasty = await startFilter(world.installation, { limits: { engineWithinMs: 2_000 } });
    const { stream } = await run(['sh', '-c', 'sleep 3; echo still-here'], await dockerodeAt(hasty.address));
    expect((await allOf(stream)).toString()).toContain('still-here');
  });

  it('has its size and follows a resize', async () => {
    const { id, stream } = await run(['sh', '-c', 'read x; stty size']);
    await vi.waitFor(async () => expect((await docker.getExec(id).inspect()).Pid).toBeGreaterThan(0));
    await docker.getExec(id).resize({ h: 43, w: 117 });
    stream.write('\n');
    expect((await allOf(stream)).toString()).toContain('43 117');
  });
});

describe('the engine behind it', () => {
  it('says itself what is gone, in its own words and with its own status', async () => {
    const gone = '0'.repeat(64);
    const inspected = await docker
      .getContainer(gone)
      .inspect()
      .catch((error: unknown) => engineErrorOf('inspect', error));
    expect(inspected).toMatchObject({
      fault: { kind: 'not-found', message: expect.stringContaining('No such container') },
    });
    const started = await openExecStream(docker.modem, gone, { Detach: false, Tty: true }, never).catch(
      (error: unknown) => error,
    );
    expect(started).toMatchObject({ fault: { kind: 'not-found' } });
  });

  it('is unreachable to the gateway while it is so to the filter, and not refusing', async () => {
    const proxy = await createEngineProxy(join(world.workdir, 'proxy.sock'));
    const before = await startFilter(world.installation, { dockerHost: proxy.address });
    const through = await dockerodeAt(before.address);
    await proxy.close();
    const error = await through.ping().catch((failure: unknown) => engineErrorOf('ping', failure));
    expect(error).toMatchObject({ fault: { kind: 'unreachable', status: null } });
    await before[Symbol.asyncDispose]();
  });
});

describe('the process', () => {
  const settings = (name: string): Record<string, string> => ({
    SPOON_FILTER_SOCKET: join(world.workdir, name),
    SPOON_INSTALLATION_ID: world.installation,
  });

  it('makes a socket for its owner and group, in the place of one that a killed process left', async () => {
    const socket = join(world.workdir, 'left.sock');
    const killed = await startFilterProcess(settings('left.sock'));
    await killed.kill();
    const next = await startFilterProcess(settings('left.sock'));
    expect((await lstat(socket)).mode & 0o777).toBe(0o660);
    await expect((await dockerodeAt(`unix://${socket}`)).ping()).resolves.toBeDefined();
    await expect(listenAt(createServer(), socket)).rejects.toThrow(/Another process listens at/);
    expect(await next.stop()).toBe(0);
    await expect(lstat(socket)).rejects.toThrow('ENOENT');
  });

  it('leaves a file that is no socket alone, and says in one line what its settings lack', async () => {
    await writeFile(join(world.workdir, 'file'), 'of somebody');
    await expect(listenAt(createServer(), join(world.workdir, 'file'))).rejects.toThrow(/is there and is no socket/);
    for (const wrong of [
      { SPOON_FILTER_SOCKET: '' },
      { SPOON_FILTER_SOCKET: 'relative' },
      { SPOON_INSTALLATION_ID: '', SPOON_AGENT_WORKDIR: join(world.workdir, 'nowhere') },
      { DOCKER_HOST: 'ssh://host' },
    ]) {
      expect(() => readFilterSettings({ ...settings('x.sock'), ...wrong })).toThrow(Object.keys(wrong)[0]);
    }
    await writeFile(join(world.workdir, '.spoonbox-installation'), 'of-the-file\n');
    const ofFile = { ...settings('x.sock'), SPOON_INSTALLATION_ID: '', SPOON_AGENT_WORKDIR: world.workdir };
    expect(readFilterSettings(ofFile).installation).toBe('of-the-file');
    // Where nobody may write: a gateway whose work directory is not its own.
    expect(() => readInstallation('/sys', null)).toThrow(/cannot be made \(E\w+\): start the controller once/);
  });

  it('that is told to stop lets a started exec end, and another may listen there meanwhile', async () => {
    const socket = join(world.workdir, 'drain.sock');
    const old = await startFilterProcess({ ...settings('drain.sock'), SPOON_DRAIN_MS: '60000' });
    const { stream } = await run(['cat'], await dockerodeAt(`unix://${socket}`));
    const ended = old.stop();
    await vi.waitFor(() => expect(lstat(socket)).rejects.toThrow('ENOENT'));
    const next = await startFilterProcess(settings('drain.sock'));
    stream.write('still here\n');
    let seen = '';
    stream.on('data', (bytes: Buffer) => {
      seen += bytes.toString();
    });
    await vi.waitFor(() => expect(seen).toContain('still here'));
    stream.destroy();
    expect(await ended).toBe(0);
    expect(await next.stop()).toBe(0);
  });

  it('goes on whenever a client closes its connection', async () => {
    const socket = join(world.workdir, 'gone.sock');
    const filterProcess = await startFilterProcess(settings('gone.sock'));
    const exec = `/v1.41/exec/${'0'.repeat(64)}/start`;
    for (const text of [
      'CONNECT docker:2375 HTTP/1.1\r\nHost: docker\r\n\r\n',
      '\0'.repeat(100),
      requestText('GET', '/v1.41/_ping'),
      requestText('GET', '/v1.41/info'),
      requestText('GET', '/v1.41/_ping', { headers: upgrade }),
      requestText('POST', exec, {
        headers: { ...upgrade, 'Content-Length': '26' },
        body: { Detach: false, Tty: true },
      }),
      requestText('POST', exec, { headers: { ...upgrade, 'Content-Length': '26' } }),
      requestText('POST', `/v1.41/containers/${box}/exec`, { body: { Cmd: ['true'] } }),
      requestText('POST', `/v1.41/containers/${box}/exec`, { headers: { 'Content-Length': '200' } }),
    ]) {
      for (let time = 0; time < 20; time += 1) await writeAndGo(socket, text, time % 4);
    }
    await expect((await dockerodeAt(`unix://${socket}`)).ping()).resolves.toBeDefined();
    expect(await filterProcess.stop()).toBe(0);
  });

  it('cuts what is still open when the drain is over', async () => {
    const socket = join(world.workdir, 'cut.sock');
    const filterProcess = await startFilterProcess({ ...settings('cut.sock'), SPOON_DRAIN_MS: '1500' });
    const { id, stream } = await run(['cat'], await dockerodeAt(`unix://${socket}`));
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.resume();
    const half = requestText('POST', `/v1.41/exec/${id}/start`, { headers: { ...upgrade, 'Content-Length': '20' } });
    void rawRequest(socket, `${half}{"Detach"`, 20_000);
    expect(await filterProcess.stop()).toBe(0);
    await closed;
    expect(filterProcess.lines.join('\n')).toContain('the drain is over');
  });
});
