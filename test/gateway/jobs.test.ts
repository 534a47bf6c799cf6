import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { BoxCommands } from '../../gateway/src/exec/command-port.ts';
import { OutputFrames } from '../../gateway/src/exec/command-output.ts';
import type { Gateway } from '../../gateway/src/gateway.ts';
import { newApiToken } from '#shared/api-token.ts';
import { channel, execPath, exitCodeOf, exitStatus, failureStatus } from '#shared/exec-protocol.ts';
import type { Role } from '#shared/operator-schemas.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { apiToken, type BareOptions, bareExec, bareJob } from './jobs-world.ts';
import { createFakeExec } from './fake-exec.ts';
import { open } from './test-client.ts';

/** What is refused before anything runs; there is no engine here. */
let world: GatewayWorld;
let gateway: Gateway;
const noCommands: BoxCommands = { start: () => Promise.reject(new Error('nothing must be run here')) };

beforeAll(async () => {
  world = await createGatewayWorld(createFakeExec());
  const jobs = { commands: noCommands, apiToken };
  gateway = await world.gateway({ jobs, origins: ['https://spoon.example'], limits: { jobsPerUser: 2 } });
});
afterAll(() => world?.close());

async function tokenOf(role: Role): Promise<string> {
  const made = await world.access.makeToken({ name: `the ${role} of the test`, role });
  if (made === null) throw new Error('there is no room for a token');
  return made.token;
}

async function refusal(query: Record<string, string>, options: BareOptions = {}): Promise<[number, string]> {
  const answer = await bareExec(gateway.port, Object.entries(query), options);
  if (!('code' in answer)) throw new Error('it was let in');
  return [answer.status, answer.code];
}

const good = { user: 'alice', command: 'true' };

describe('a request for a command', () => {
  it('is refused where it does not say what to run, where, or how, with a code that tells which', async () => {
    expect(await refusal({ user: 'alice' })).toEqual([400, 'command-missing']);
    expect(await refusal({ command: 'true' })).toEqual([400, 'user-missing']);
    expect(await refusal({ ...good, user: '../alice' })).toEqual([400, 'user-refused']);
    expect(await refusal({ ...good, directory: '../bob' })).toEqual([400, 'parameter-refused']);
    expect(await refusal({ ...good, directory: '' })).toEqual([400, 'parameter-refused']);
    expect(await refusal({ ...good, stdin: 'perhaps' })).toEqual([400, 'parameter-refused']);
    expect(await refusal({ ...good, tty: 'true' })).toEqual([400, 'tty-refused']);
    expect(await refusal(good, { protocols: ['spoonbox.v1'] })).toEqual([400, 'protocol-unknown']);
    expect(await refusal(good, { protocols: ['v3.channel.k8s.io'] })).toEqual([400, 'protocol-unknown']);
    const pod = (name: string): BareOptions => ({ path: `/api/v1/namespaces/any/pods/${name}/exec` });
    expect(await refusal({ command: 'true' }, pod('nginx-1'))).toEqual([400, 'user-refused']);
    expect(await refusal({ command: 'true' }, pod('spoon-box-..'))).toEqual([400, 'user-refused']);
    expect(await refusal({ command: 'true' }, pod('spoon-box-%zz'))).toEqual([400, 'user-refused']);
  });

  it('is refused from a page of another origin, whatever its token', async () => {
    expect(await refusal(good, { headers: { origin: 'https://evil.example' } })).toEqual([403, 'origin-refused']);
  });

  it('is refused without a token that may run commands in this box', async () => {
    expect(await refusal(good, { bearer: null })).toEqual([401, 'token-missing']);
    expect(await refusal(good, { bearer: `${apiToken}x` })).toEqual([401, 'token-wrong']);
    // The API's token must not stand in a URL, where it would be logged.
    expect(await refusal({ ...good, token: apiToken }, { bearer: null })).toEqual([401, 'token-wrong']);
    const user = world.newUser();
    const other = await world.token(user);
    expect(await refusal(good, { bearer: other })).toEqual([403, 'token-of-other']);
    const readOnly = await world.token(user, { mode: 'ro' });
    expect(await refusal({ command: 'true' }, { bearer: readOnly })).toEqual([403, 'token-read-only']);
    const { token: foreign } = await signTerminalToken('another-long-random-secret', { user, mode: 'rw' });
    expect(await refusal({ command: 'true' }, { bearer: foreign })).toEqual([401, 'token-signature']);
  });

  it('is let in with a token of the API whose role is jobs or more, at both paths, and never with one in the URL', async () => {
    const paths = (user: string): string[] => [execPath, `/api/v1/namespaces/any/pods/spoon-box-${user}/exec`];
    for (const role of ['jobs', 'admin'] as const) {
      const bearer = await tokenOf(role);
      const user = world.newUser();
      for (const path of paths(user)) {
        const job = await bareExec(gateway.port, Object.entries({ ...good, user }), { bearer, path });
        if ('code' in job) throw new Error(JSON.stringify(job));
        job.socket.terminate();
      }
      expect(await refusal({ ...good, token: bearer }, { bearer: null })).toEqual([401, 'token-wrong']);
    }
    const viewer = await tokenOf('viewer');
    for (const path of paths('alice')) {
      expect(await refusal(good, { bearer: viewer, path })).toEqual([403, 'role-too-low']);
    }
    await vi.waitFor(() => expect(gateway.jobs).toBe(0));
  });

  it('is refused with a token of the API that was revoked, has expired, or never was', async () => {
    const revoked = await world.access.makeToken({ name: 'gone', role: 'admin' });
    const expired = await world.access.makeToken({ name: 'short', role: 'admin', ttlMs: 1 });
    if (!revoked || !expired) throw new Error('there is no room for a token');
    expect(await world.access.revokeToken(revoked.id)).toBe(true);
    expect(await refusal(good, { bearer: revoked.token })).toEqual([401, 'token-wrong']);
    await vi.waitFor(async () => expect((await world.access.findToken(expired.token)).ok).toBe(false));
    expect(await refusal(good, { bearer: expired.token })).toEqual([401, 'token-expired']);
    expect(await refusal(good, { bearer: newApiToken().token })).toEqual([401, 'token-wrong']);
  });

  it('is let in by every way of showing a terminal token, each token once, also by a terminal', async () => {
    const user = world.newUser();
    const ways = [
      (token: string): [Record<string, string>, BareOptions] => [{}, { bearer: token }],
      (token: string): [Record<string, string>, BareOptions] => [{ token }, { bearer: null }],
      (token: string): [Record<string, string>, BareOptions] => [
        {},
        { bearer: null, protocols: ['v5.channel.k8s.io', `token.${token}`] },
      ],
      (token: string): [Record<string, string>, BareOptions] => {
        const entry = `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`;
        return [{}, { bearer: null, protocols: ['v4.channel.k8s.io', entry] }];
      },
    ];
    for (const way of ways) {
      const [query, options] = way(await world.token(user));
      const job = await bareExec(gateway.port, Object.entries({ command: 'true', ...query }), options);
      if ('code' in job) throw new Error(JSON.stringify(job));
      expect(job.socket.protocol).toBe(options.protocols?.[0] ?? 'v5.channel.k8s.io');
      job.socket.terminate();
      expect(await refusal({ command: 'true', ...query }, options)).toEqual([401, 'token-used']);
    }
  });

  it('is refused beyond the limit of its user, and let in when one has ended', async () => {
    const user = world.newUser();
    const jobs = await Promise.all([1, 2].map(() => bareJob(gateway.port, user, ['true'])));
    expect(await refusal({ ...good, user })).toEqual([429, 'too-many-jobs']);
    expect((await world.store.read(user)).leases.map(({ kind }) => kind)).toEqual(['job', 'job']);
    jobs[0]?.socket.terminate();
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toHaveLength(1));
    const third = await bareJob(gateway.port, user, ['true']);
    for (const { socket } of [...jobs, third]) socket.terminate();
    await vi.waitFor(() => expect(gateway.jobs).toBe(0));
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toEqual([]));
  });

  it('is refused where its user or its address comes too often, and told how long to wait; terminals count with it', async () => {
    // The buckets do not fill up again while the test runs.
    const few = { burst: 2, perSecond: 0.001 };
    const jobs = { commands: noCommands, apiToken };
    const strict = await world.gateway({ jobs, limits: { connectRates: { user: few, address: few, remembered: 10 } } });
    const [user, other, third] = [world.newUser(), world.newUser(), world.newUser()];
    const from = (address: string): Record<string, string> => ({ 'x-forwarded-for': address });
    const tooFast = { status: 503, code: 'too-fast', detail: expect.stringMatching(/try again in \d+ s$/) };
    const ask = (options: BareOptions): ReturnType<typeof bareExec> =>
      bareExec(strict.port, [['command', 'true']], options);

    await bareJob(strict.port, user, ['true']);
    const terminal = await open({ port: strict.port, token: await world.token(user) });
    const token = await world.token(user);
    expect(await ask({ bearer: token })).toMatchObject(tooFast);
    const terminalToo = await open({ port: strict.port, token: await world.token(user) });
    expect(await terminalToo.closed).toMatchObject({ code: 4430 });
    const elsewhere = await bareExec(gateway.port, [['command', 'true']], { bearer: token });
    if ('code' in elsewhere) throw new Error(`a connect that was too early has spent its token: ${elsewhere.code}`);
    const ofOther = await bareJob(strict.port, other, ['true'], {}, { headers: from('10.0.0.1') });

    expect(await ask({ bearer: `${apiToken}x`, headers: from('10.0.0.2') })).toMatchObject({ code: 'token-wrong' });
    expect(await ask({ bearer: `${apiToken}x`, headers: from('10.0.0.2') })).toMatchObject({ code: 'token-wrong' });
    expect(await ask({ bearer: await world.token(third), headers: from('10.0.0.2') })).toMatchObject(tooFast);
    for (const { socket } of [terminal, elsewhere, ofOther]) socket.terminate();
  });

  it('is refused where its command is longer than a request may be', async () => {
    const url = `http://127.0.0.1:${gateway.port}/v1/exec?user=alice&command=${'x'.repeat(130 * 1024)}`;
    expect((await fetch(url)).status).toBe(431);
  });

  it('is told what a WebSocket would be, where it is none', async () => {
    const answer = await fetch(`http://127.0.0.1:${gateway.port}/v1/exec?user=alice&command=true`);
    expect([answer.status, (await answer.json()).code]).toEqual([426, 'upgrade-required']);
  });
});

describe('a client that breaks the protocol', () => {
  it('is told so in the status', async () => {
    const user = world.newUser();
    for (const break_ of [
      [channel.stdin, 'input without stdin'],
      [channel.close, Buffer.of(channel.stdout)],
      [7, 'no such channel'],
    ] as const) {
      const job = await bareJob(gateway.port, user, ['true']);
      job.send(break_[0], break_[1]);
      expect(await job.status).toMatchObject({ status: 'Failure', reason: 'BadMessage' });
    }
  });

  it('is closed where a message is larger than one may be', async () => {
    const job = await bareJob(gateway.port, world.newUser(), ['true'], { stdin: 'true' });
    const closed = once(job.socket, 'close');
    job.send(channel.stdin, Buffer.alloc(16 * 1024 * 1024));
    expect((await closed)[0]).toBe(1009);
  });

  it('may send a size and close its input, which it does not have', async () => {
    const user = world.newUser();
    const job = await bareJob(gateway.port, user, ['true']);
    job.send(channel.resize, '{"Width":80,"Height":24}');
    job.send(channel.close, Buffer.of(channel.stdin));
    await vi.waitFor(async () => expect((await world.store.read(user)).leases).toHaveLength(1));
    expect(job.socket.readyState).toBe(job.socket.OPEN);
    job.socket.terminate();
  });
});

describe('without the state store', () => {
  it('nothing is run, and the client is told to try later', async () => {
    const [justUsed, unused] = [await tokenOf('jobs'), await tokenOf('jobs')];
    (await bareJob(gateway.port, world.newUser(), ['true'], {}, { bearer: justUsed })).socket.terminate();
    await vi.waitFor(() => expect(gateway.jobs).toBe(0));
    await world.redis.stop();
    expect(await refusal(good, { bearer: unused })).toEqual([503, 'try-later']);
    const known = await bareJob(gateway.port, world.newUser(), ['true'], {}, { bearer: justUsed });
    expect(await known.status).toMatchObject({ status: 'Failure', reason: 'TryLater' });
    const token = await world.token(world.newUser());
    expect(await refusal({ command: 'true' }, { bearer: token })).toEqual([503, 'try-later']);
    const job = await bareJob(gateway.port, world.newUser(), ['true']);
    expect(await job.status).toMatchObject({ status: 'Failure', reason: 'TryLater' });
    await world.redis.restart();
  });
});

describe('frames of the engine', () => {
  it('are taken apart wherever they are cut, in order, none lost', () => {
    const parts = Array.from({ length: 300 }, (_, i) => ({ stream: 1 + (i % 2), body: randomBytes((i * 37) % 700) }));
    const bytes = Buffer.concat(
      parts.flatMap(({ stream, body }) => {
        const header = Buffer.alloc(8);
        header[0] = stream;
        header.writeUInt32BE(body.length, 4);
        return [header, body];
      }),
    );
    const whole = (stream: number): Buffer =>
      Buffer.concat(parts.filter((part) => part.stream === stream).map(({ body }) => body));
    for (const cut of [1, 7, 8, 9, 1_000, 65_536, bytes.length]) {
      const frames = new OutputFrames();
      const taken: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += cut)
        taken.push(...frames.take(Buffer.from(bytes.subarray(at, at + cut))));
      for (const stream of [1, 2]) {
        const got = Buffer.concat(taken.filter((frame) => frame[0] === stream).map((frame) => frame.subarray(1)));
        expect(got.equals(whole(stream))).toBe(true);
      }
      expect(taken.every((frame) => frame.length > 1)).toBe(true);
    }
  });
});

describe('a status', () => {
  it('tells an exit code, or why there is none', () => {
    expect([0, 1, 137].map((code) => exitCodeOf(exitStatus(code)))).toEqual([0, 1, 137]);
    expect(exitCodeOf(failureStatus('box-gone', 'the box has ended'))).toBeNull();
    expect(failureStatus('too-many-sessions', '').reason).toBe('TooManySessions');
  });
});
