import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import { relay } from '../../gateway/src/jobs/relay.ts';
import { defaultLimits, type GatewayLimits } from '../../gateway/src/limits.ts';
import { systemClock } from '#shared/clock.ts';
import { channel } from '#shared/exec-protocol.ts';
import type { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { type Boxes, createBoxes, createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { apiToken, bareJob, commandsOn, kubernetesExec } from './jobs-world.ts';

let boxes: Boxes;
let world: GatewayWorld;
let job: Gateway;

beforeAll(async () => {
  boxes = await createBoxes();
  world = await createGatewayWorld(boxes.exec);
  job = await serveJobs();
});
afterAll(async () => {
  await world?.close();
  await boxes?.close();
});

function serveJobs(limits: Partial<GatewayLimits> = {}): Promise<Gateway> {
  return world.gateway({ jobs: { commands: commandsOn(boxes.connect), apiToken }, limits });
}

async function readyBox(): Promise<{ user: UserName; containerId: string }> {
  const user = world.newUser();
  const containerId = await boxes.start(user);
  await world.commit(user, { phase: 'ready', containerId });
  return { user, containerId };
}

const never = new AbortController().signal;
const sh = (script: string): string[] => ['sh', '-c', script];

async function leavesNothing(user: UserName, containerId: string): Promise<void> {
  await vi.waitFor(async () => expect(await boxes.processes(containerId)).toEqual([]));
  await vi.waitFor(async () => expect((await world.store.read(user)).leases).toEqual([]));
}

describe("Kubernetes' own client", () => {
  it('runs a command with separate streams and its exit code', async () => {
    const { user, containerId } = await readyBox();
    const ran = await kubernetesExec(job.port, user, sh('echo to-out; echo to-err >&2; pwd; exit 7'));
    expect(ran.stdout.toString()).toBe('to-out\n/home/spoon\n');
    expect(ran.stderr.toString()).toBe('to-err\n');
    expect(ran.status).toMatchObject({ status: 'Failure', reason: 'NonZeroExitCode' });
    expect(ran.status.details?.causes).toEqual([{ reason: 'ExitCode', message: '7' }]);
    const fine = await kubernetesExec(job.port, user, ['printf', '%s|', 'a b', "c'd", '$HOME', 'ü']);
    expect(fine.stdout.toString()).toBe("a b|c'd|$HOME|ü|");
    expect(fine.status).toMatchObject({ status: 'Success' });
    await leavesNothing(user, containerId);
    expect((await world.store.read(user)).desired?.lastActivityAt).toBeGreaterThan(0);
  });

  it('passes 10 MB both ways whole, and the end of the input', async () => {
    const { user } = await readyBox();
    const bytes = randomBytes(10_000_000);
    const ran = await kubernetesExec(job.port, user, 'cat', { stdin: bytes });
    expect(ran.status).toMatchObject({ status: 'Success' });
    expect(ran.stdout.equals(bytes)).toBe(true);
    const none = await kubernetesExec(job.port, user, sh('cat; echo end'), { stdin: Buffer.alloc(0) });
    expect(none.stdout.toString()).toBe('end\n');
  });

  it('is told 127 and the words where the command is not there, 126 where it is no program', async () => {
    const { user } = await readyBox();
    const missing = await kubernetesExec(job.port, user, 'no-such-command');
    expect(missing.status.details?.causes).toEqual([{ reason: 'ExitCode', message: '127' }]);
    expect(missing.stderr.toString()).toContain('no-such-command: not found');
    const noProgram = await kubernetesExec(job.port, user, '/etc/passwd');
    expect(noProgram.status.details?.causes).toEqual([{ reason: 'ExitCode', message: '126' }]);
  });

  it('runs with a terminal token, once, in the box of its user only', async () => {
    const { user } = await readyBox();
    const token = await world.token(user);
    expect((await kubernetesExec(job.port, user, 'true', { token })).status.status).toBe('Success');
    await expect(kubernetesExec(job.port, user, 'true', { token })).rejects.toMatchObject({
      message: expect.stringContaining('401'),
    });
    await expect(
      kubernetesExec(job.port, 'somebody-else', 'true', { token: await world.token(user) }),
    ).rejects.toMatchObject({ message: expect.stringContaining('403') });
  });

  it('gets all output of 40 commands at once', async () => {
    const { user } = await readyBox();
    const limited = await serveJobs({ jobsPerUser: 40 });
    const one = async (n: number): Promise<void> => {
      const ran = await kubernetesExec(limited.port, user, sh(`seq 1 ${n * 500}; echo last >&2; exit ${n}`));
      expect(ran.stdout.toString().trimEnd().split('\n')).toHaveLength(n * 500);
      expect(ran.stderr.toString()).toBe('last\n');
      expect(ran.status.details?.causes).toEqual([{ reason: 'ExitCode', message: String(n) }]);
    };
    await Promise.all(Array.from({ length: 40 }, (_, i) => one(i + 1)));
    await limited.drain(10_000);
  });
});

describe('a command', () => {
  it('starts in a directory below the home, and is not run where that is missing', async () => {
    const { user } = await readyBox();
    const made = await bareJob(job.port, user, sh('mkdir -p "Code/a b"; echo made'));
    await made.status;
    const there = await bareJob(job.port, user, ['pwd'], { directory: 'Code/a b' });
    await there.status;
    expect(there.out().toString()).toBe('/home/spoon/Code/a b\n');
    const nowhere = await bareJob(job.port, user, sh('echo ran'), { directory: 'Code/none' });
    expect((await nowhere.status)?.details?.causes).toEqual([{ reason: 'ExitCode', message: '126' }]);
    expect(nowhere.out().toString()).toBe('');
    expect(nowhere.err()).toContain('Code/none is not there');
  });

  it('waits for its box, keeps what is sent meanwhile, and shows nothing of the wait', async () => {
    const user = world.newUser();
    const early = await bareJob(job.port, user, ['cat'], { stdin: 'true' });
    early.send(channel.stdin, 'sent early');
    early.send(channel.close, Buffer.of(channel.stdin));
    await vi.waitFor(async () => expect((await world.store.read(user)).leases[0]?.kind).toBe('job'));
    await world.commit(user, { phase: 'provisioning', step: 'pulling' });
    await delay(200);
    expect(early.out().toString() + early.err()).toBe('');
    await world.commit(user, { phase: 'ready', containerId: await boxes.start(user) });
    expect(await early.status).toMatchObject({ status: 'Success' });
    expect(early.out().toString()).toBe('sent early');
  });

  it('waits for the next box where the one that it was promised does not run', async () => {
    const { user, containerId } = await readyBox();
    await boxes.docker.getContainer(containerId).stop({ t: 0 });
    const late = await bareJob(job.port, user, ['echo', 'ran']);
    await delay(300);
    await boxes.docker.getContainer(containerId).start();
    expect(await late.status).toMatchObject({ status: 'Success' });
    expect(late.out().toString()).toBe('ran\n');
  });

  it('may have a long script for an argument', async () => {
    const { user } = await readyBox();
    const long = await bareJob(job.port, user, sh(`: ${'x'.repeat(100_000)}; echo ran`));
    expect(await long.status).toMatchObject({ status: 'Success' });
    expect(long.out().toString()).toBe('ran\n');
  });

  it('that writes into a file of its own runs to its end, and gives its exit code', async () => {
    const { user, containerId } = await readyBox();
    const quiet = await bareJob(job.port, user, sh('exec >log 2>&1; sleep 5; echo written; exit 7'));
    expect((await quiet.status)?.details?.causes).toEqual([{ reason: 'ExitCode', message: '7' }]);
    const log = await bareJob(job.port, user, ['cat', 'log']);
    await log.status;
    expect(log.out().toString()).toBe('written\n');
    await leavesNothing(user, containerId);
  });

  it('gives only the streams that are wanted', async () => {
    const { user } = await readyBox();
    const quiet = await bareJob(job.port, user, sh('echo out; echo err >&2'), { stdout: 'false' });
    expect(await quiet.status).toMatchObject({ status: 'Success' });
    expect([quiet.out().toString(), quiet.err()]).toEqual(['', 'err\n']);
  });

  it('gives all output of a command that ends while its client takes none', async () => {
    const { containerId } = await readyBox();
    const commands = commandsOn(boxes.connect);
    const log = createLogger({ name: 'relay', level: 'silent' });
    const slow = async (bytes: number): Promise<void> => {
      const mark = `job-slow-${bytes}`;
      const start = {
        containerId,
        mark,
        command: sh(`head -c ${bytes} /dev/zero`),
        stdin: false,
        directory: null,
        environment: {},
      };
      const command = await commands.start(start, never);
      let got = 0;
      const socket = {
        input: new PassThrough(),
        onRoom: () => {},
        isFull: () => true,
        waitingBytes: 0,
        cut: () => {},
        send: (frame: Buffer) => {
          got += frame.length - 1;
        },
      };
      // It never says that there is room; the engine throws away what was not taken for 2 s after the end.
      await relay(
        { clock: systemClock, limits: defaultLimits, log },
        { command, socket, stdout: true, stderr: true },
        never,
      );
      expect(got).toBe(bytes);
    };
    await Promise.all([50_000, 150_000, 200_000, 250_000, 300_000, 350_000, 400_000, 500_000].map(slow));
  });

  it('is held by a client that does not read, in bounds, and not cut for its silence', async () => {
    const { user, containerId } = await readyBox();
    const short = await serveJobs({ pingEveryMs: 200 });
    const before = process.memoryUsage().arrayBuffers;
    const client = await bareJob(short.port, user, sh('head -c 150000000 /dev/zero; echo done >&2'));
    await vi.waitFor(() => expect(client.out().length).toBeGreaterThan(0));
    client.socket.pause();
    await delay(3_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60_000_000);
    expect((await boxes.processes(containerId)).some((command) => command.startsWith('head -c'))).toBe(true);
    client.socket.resume();
    expect(await client.status).toMatchObject({ status: 'Success' });
    expect(client.out().length).toBe(150_000_000);
    expect(client.err()).toBe('done\n');
    await short.drain(10_000);
  });

  it('holds the input of a command that does not read it, and then gives all of it', async () => {
    const { user } = await readyBox();
    const script = 'until [ -e reads ]; do sleep 0.1; done; wc -c';
    const held = await bareJob(job.port, user, sh(script), { stdin: 'true' });
    for (let sent = 0; sent < 20_000_000; sent += 100_000) held.send(channel.stdin, Buffer.alloc(100_000, 'x'));
    held.send(channel.close, Buffer.of(channel.stdin));
    await delay(1_000);
    expect(held.socket.bufferedAmount).toBeGreaterThan(5_000_000); // most of it has not left its sender
    await (await bareJob(job.port, user, ['touch', 'reads'])).status;
    expect(await held.status).toMatchObject({ status: 'Success' });
    expect(held.out().toString()).toBe('20000000\n');
  });
});

describe('the end of a command', () => {
  it('comes when its client goes away, whatever it runs', async () => {
    const { user, containerId } = await readyBox();
    const scripts = ['sleep 1000', 'cat', 'yes', 'sleep 1001 & sleep 1002', 'trap "" HUP TERM; sleep 1003; sleep 1004'];
    for (const script of scripts) {
      const client = await bareJob(job.port, user, sh(`echo begins; ${script}`), { stdin: 'true' });
      await vi.waitFor(() => expect(client.out().toString()).toContain('begins'));
      client.socket.terminate();
    }
    // Also one that goes before its command is there.
    for (const waitMs of [0, 5, 20, 40, 60]) {
      const hasty = await bareJob(job.port, user, ['sleep', '1005']);
      await delay(waitMs);
      hasty.socket.terminate();
    }
    await vi.waitFor(() => expect(job.jobs).toBe(0));
    await leavesNothing(user, containerId);
  });

  it('comes with the end of its lease, which the status tells', async () => {
    const { user, containerId } = await readyBox();
    const client = await bareJob(job.port, user, sh('echo begins; sleep 1000'));
    await vi.waitFor(() => expect(client.out().toString()).toContain('begins'));
    const [lease] = (await world.store.read(user)).leases;
    if (lease) await world.store.release(user, lease.id, 'the test');
    await world.commit(user, { phase: 'ready', containerId }); // a change of status makes the gateway look
    expect(await client.status).toMatchObject({ status: 'Failure', reason: 'Released' });
    await leavesNothing(user, containerId);
  });

  it('is a failure, not an exit code, where the box dies under it', async () => {
    const { user, containerId } = await readyBox();
    const client = await bareJob(job.port, user, sh('echo begins; sleep 1000'));
    await vi.waitFor(() => expect(client.out().toString()).toContain('begins'));
    await boxes.docker.getContainer(containerId).kill();
    expect(await client.status).toMatchObject({ status: 'Failure', reason: 'BoxGone' });
  });

  it('keeps the exit code of a command that was killed in a box that lives', async () => {
    const { user } = await readyBox();
    const client = await bareJob(job.port, user, sh('kill -9 $$'));
    expect((await client.status)?.details?.causes).toEqual([{ reason: 'ExitCode', message: '137' }]);
  });

  it('comes with a drain, which the status tells, and leaves nothing', async () => {
    const { user, containerId } = await readyBox();
    const other = await serveJobs();
    const client = await bareJob(other.port, user, sh('echo begins; sleep 1000'));
    await vi.waitFor(() => expect(client.out().toString()).toContain('begins'));
    await other.drain(10_000);
    expect(await client.status).toMatchObject({ status: 'Failure', reason: 'Restarting' });
    expect(await boxes.processes(containerId)).toEqual([]);
    expect((await world.store.read(user)).leases).toEqual([]);
  });
});
