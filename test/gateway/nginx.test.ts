import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import type { UserName } from '#shared/identity.ts';
import { type Nginx, nginxProgram, startNginx } from './behind-nginx.ts';
import { createFakeCommands, type FakeCommand } from './fake-commands.ts';
import { createFakeExec } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { apiToken, type BareJob, bareJob, kubernetesExec } from './jobs-world.ts';
import { open } from './test-client.ts';

// Skipped, and counted as that, where there is no nginx: `npm test` says so.
describe.skipIf(nginxProgram === undefined)('two gateways behind nginx, as the file of the manifests has it', () => {
  const exec = createFakeExec();
  const commands = createFakeCommands();
  let world: GatewayWorld;
  let gateways: Gateway[];
  let nginx: Nginx;

  beforeAll(async () => {
    world = await createGatewayWorld(exec);
    const start = (): Promise<Gateway> => world.gateway({ jobs: { commands, apiToken }, limits: { graceMs: 60_000 } });
    gateways = [await start(), await start()];
    nginx = await startNginx(gateways.map(({ port }) => port));
  });
  afterAll(async () => {
    await nginx?.stop();
    await world?.close();
  });

  async function readyUser(): Promise<UserName> {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'c1' });
    return user;
  }

  async function started(count: number): Promise<FakeCommand> {
    await vi.waitFor(() => expect(commands.started).toHaveLength(count));
    const last = commands.started.at(-1);
    if (last === undefined) throw new Error('nothing was started');
    return last;
  }

  function ends(command: FakeCommand | undefined, says: string): void {
    command?.says(Buffer.from(says));
    command?.exits(3);
    command?.stream.push(null);
  }

  it('serve a terminal, and whoever comes back to it, at the gateway that has it', async () => {
    const user = await readyUser();
    for (const session of ['one', 'two', 'three', 'four']) {
      const path = `/v1/terminal?session=${session}`;
      const client = await open({ port: nginx.port, path, token: await world.token(user, { session }) });
      const { ticket } = await client.message('hello');
      exec.terminals.at(-1)?.says('prompt$ ');
      await client.sees('prompt$ ');
      client.type('ls');
      await vi.waitFor(() => expect(Buffer.concat(exec.terminals.at(-1)?.typed ?? []).toString()).toBe('ls'));
      client.socket.terminate();
      const back = await open({ port: nginx.port, path, ticket: ticket ?? '', offset: 8 });
      expect(await back.message('hello')).toMatchObject({ start: 'exact' });
      back.socket.close(1000);
      await back.closed;
    }
  });

  it("run commands at both paths, Kubernetes' clients among them", async () => {
    const user = await readyUser();
    const before = commands.started.length;
    const ours = await bareJob(nginx.port, user, ['make', 'test']);
    ends(await started(before + 1), 'ours');
    expect((await ours.status)?.details?.causes).toEqual([{ reason: 'ExitCode', message: '3' }]);
    expect(ours.out().toString()).toBe('ours');
    const running = kubernetesExec(nginx.port, user, ['make', 'test']);
    const theirs = await started(before + 2);
    expect(theirs.start.command).toEqual(['make', 'test']);
    ends(theirs, 'theirs');
    const { stdout, status } = await running;
    expect([stdout.toString(), status.details?.causes]).toEqual(['theirs', [{ reason: 'ExitCode', message: '3' }]]);
  });

  it('take commands, which have no session, where the fewest run', async () => {
    const user = await readyUser();
    const ofFirst: { job: BareJob; command: FakeCommand }[] = [];
    const all: { job: BareJob; command: FakeCommand }[] = [];
    const run = async (count: number): Promise<void> => {
      for (let more = 0; more < count; more += 1) {
        const before = gateways[0]?.jobs;
        const commandsBefore = commands.started.length;
        const job = await bareJob(nginx.port, user, ['true']);
        const one = { job, command: await started(commandsBefore + 1) };
        all.push(one);
        if (gateways[0]?.jobs !== before) ofFirst.push(one);
      }
    };
    await run(6);
    expect(gateways.map((gateway) => gateway.jobs)).toEqual([3, 3]);
    for (const { command } of ofFirst) ends(command, '');
    await Promise.all(ofFirst.map(({ job }) => job.status));
    await run(3);
    expect(gateways.map((gateway) => gateway.jobs)).toEqual([3, 3]);
    for (const { command } of all) if (command.now.running) ends(command, '');
    await Promise.all(all.map(({ job }) => job.status));
  });

  it('take a command as long as a gateway takes', async () => {
    const user = await readyUser();
    const before = commands.started.length;
    const script = 'x'.repeat(120_000);
    const long = await bareJob(nginx.port, user, ['sh', '-c', script]);
    const command = await started(before + 1);
    expect(command.start.command[2]?.length).toBe(script.length);
    ends(command, '');
    expect(await long.status).not.toBeNull();
  });
});
