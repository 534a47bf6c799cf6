import { connect } from 'node:net';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { label } from '#shared/identity.ts';
import { createDockerWorld, type DockerWorld, handsOf } from '../support/docker.ts';
import { startFilter, type TestFilter } from '../support/filter.ts';
import { type RawAnswer, rawRequest, requestText } from '../support/raw-http.ts';
import { createRecordingEngine, type RecordingEngine } from '../support/recording-engine.ts';

/**
 * Somebody who has taken over a gateway, and so has the filtering socket and nothing else. What may reach the engine of an
 * attack is a look at a container or an exec, and nothing that changes one.
 */

const api = '/v1.41';
const requestWithinMs = 400;
const bodyBytes = 64 * 1_024;
const hexName = 'ab'.repeat(32);

let world: DockerWorld;
let engine: RecordingEngine;
let filter: TestFilter;
let box: Docker.Container;
/** of nobody, of another installation, a helper of ours, and one that is called as if its name was an id */
let others: Record<'foreign' | 'neighbour' | 'helper' | 'renamed', Docker.Container>;

beforeAll(async () => {
  world = await createDockerWorld();
  engine = await createRecordingEngine(join(world.workdir, 'engine.sock'));
  const limits = { requestWithinMs, lookEveryMs: 100, bodyBytes };
  filter = await startFilter(world.installation, { dockerHost: engine.address, limits });
  const ours = { [label.installation]: world.installation };
  box = await container('box', { ...ours, [label.role]: 'box' });
  others = {
    foreign: await container('foreign', {}),
    neighbour: await container('neighbour', { [label.installation]: 'another', [label.role]: 'box' }),
    helper: await container('helper', { ...ours, [label.role]: 'helper' }),
    renamed: await container('renamed', { ...ours, [label.role]: 'box' }),
  };
  await others.renamed.rename({ name: hexName });
});
afterAll(async () => {
  await filter?.[Symbol.asyncDispose]();
  await engine?.close();
  await world?.dispose();
});

async function container(name: string, labels: Record<string, string>): Promise<Docker.Container> {
  const made = await world.docker.createContainer({
    name: `${name}-${world.installation}`,
    Image: world.boxImageId,
    Cmd: ['sleep', 'infinity'],
    User: '1000',
    Env: ['TOKEN=a-secret-of-the-box'],
    // Removed with the world, also where the label of its installation is another's.
    Labels: { 'dev.spoonbox.test': world.installation, ...labels },
    HostConfig: { Init: true },
  });
  await made.start();
  return made;
}

const create = { Cmd: ['true'], AttachStdout: true };
const start = { Detach: false, Tty: false };
const upgrade = { Connection: 'Upgrade', Upgrade: 'tcp' };

/** What the engine was told; a look at one thing by its whole id tells it nothing. */
function tellings(): string[] {
  return engine.asked().filter((line) => !/^GET \/v1\.41\/(containers|exec)\/[0-9a-f]{64}\/json$/.test(line));
}

/** Refused in the engine's own form, or cut; and the engine has only been asked what there is. */
async function comesToNothing(bytes: string | readonly (string | Buffer)[], silentMs?: number): Promise<RawAnswer> {
  engine.asked();
  const answer = await rawRequest(filter.socket, bytes, silentMs);
  const what = `${String(bytes).slice(0, 300)}\n→ ${answer.text.slice(0, 500)}`;
  expect([0, 400, 403, 404, 408, 413, 431], what).toContain(answer.status);
  const isTold = answer.status === 403 && !String(bytes).startsWith('HEAD');
  if (isTold) expect(answer.message, what).toMatch(/^the filtering socket refuses .+: .+/);
  expect(answer.text.match(/HTTP\/1\.1 [0-35-9]/g), what).toBeNull();
  expect(tellings(), what).toEqual([]);
  return answer;
}

/** Made behind the filter's back, by an operator. */
async function execIn(of: Docker.Container, more: Partial<Docker.ExecCreateOptions> = {}): Promise<string> {
  return (await of.exec({ ...create, ...more })).id;
}

/** Through the filter. */
async function newExec(): Promise<string> {
  const answer = await rawRequest(
    filter.socket,
    requestText('POST', `${api}/containers/${box.id}/exec`, { body: create }),
  );
  expect(answer.status, answer.text).toBe(201);
  return /"Id":"([0-9a-f]{64})"/.exec(answer.text)?.[1] ?? '';
}

it('what a gateway asks for passes: an exec is made, started, shown and sized, and its box looked at', async () => {
  const id = await newExec();
  const body = JSON.stringify(start);
  const headers = { ...upgrade, 'Content-Length': String(body.length) };
  const ran = await rawRequest(filter.socket, requestText('POST', `${api}/exec/${id}/start`, { headers, body: start }));
  expect(ran.status).toBe(101);
  const shown = await rawRequest(filter.socket, requestText('GET', `${api}/exec/${id}/json`));
  expect(JSON.parse(shown.text.split('\r\n\r\n')[1] ?? '')).toEqual({
    ...{ ID: id, ContainerID: box.id, Running: false, ExitCode: 0 },
    Pid: expect.any(Number),
  });
  for (const target of ['/version', `${api}/_ping`, `${api}/containers/${box.id}/top?ps_args=-o%20pid%2Csid`]) {
    expect((await rawRequest(filter.socket, requestText('GET', target))).status, target).toBe(200);
  }
});

it('a look at a box tells that it runs, and neither its environment nor where its home is', async () => {
  const looked = await rawRequest(filter.socket, requestText('GET', `${api}/containers/${box.id}/json`));
  expect(JSON.parse(looked.text.split('\r\n\r\n')[1] ?? '')).toEqual({ Id: box.id, State: { Running: true } });
});

describe('other calls of the engine', () => {
  it('are refused, whatever they are', async () => {
    const id = box.id;
    const calls = [
      ...[
        'kill',
        'stop',
        'start',
        'restart',
        'pause',
        'unpause',
        'update',
        'wait',
        'attach?stream=1',
        'resize?h=1&w=1',
      ].map((verb) => `POST /containers/${id}/${verb}`),
      ...[
        'logs?stdout=1',
        'changes',
        'export',
        'archive?path=/',
        'stats',
        'attach/ws',
        'json?size=1',
        'top',
        'exec',
      ].map((verb) => `GET /containers/${id}/${verb}`),
      `GET /containers/${id}/top?ps_args=-eo%20args`,
      `GET /containers/${id}/top?ps_args=-o%20pid%2Csid&ps_args=-ef`,
      `PUT /containers/${id}/archive?path=/`,
      `HEAD /containers/${id}/archive?path=/`,
      `DELETE /containers/${id}?force=1`,
      `POST /containers/${id}/rename?name=attack`,
      `POST /commit?container=${id}`,
      ...[
        'containers/create?name=attack',
        'containers/prune',
        'build',
        'images/create?fromImage=x',
        'images/load',
        'auth',
      ].map((path) => `POST /${path}`),
      ...[
        'networks/create',
        'volumes/create',
        'swarm/init',
        'plugins/pull?remote=x',
        'secrets/create',
        'session',
        'grpc',
      ].map((path) => `POST /${path}`),
      ...[
        'containers/json',
        'images/json',
        'events',
        'info',
        'system/df',
        'networks',
        'volumes',
        'swarm',
        'plugins',
        'version',
      ].map((path) => `GET /${path}`),
      'OPTIONS /_ping',
      'HEAD /_ping',
    ];
    for (const call of calls) {
      const [method = '', path = ''] = call.split(' ');
      const body = method === 'POST' ? { Image: world.boxImageId, HostConfig: { Privileged: true } } : undefined;
      const more = body === undefined ? {} : { body };
      expect((await comesToNothing(requestText(method, `${api}${path}`, more))).status, call).toBe(403);
      if (path !== '/version') await comesToNothing(requestText(method, path, more));
    }
    expect(await world.docker.listContainers({ all: true, filters: { name: ['attack'] } })).toEqual([]);
  });

  it('are refused also where their path is written in another way', async () => {
    const foreign = others.foreign.id;
    const targets = [
      `/${api}/containers/${box.id}/json`,
      `${api}//containers/${box.id}/json`,
      `${api}/./containers/${box.id}/json`,
      `${api}/containers/${box.id}/../${foreign}/json`,
      `${api}/containers/${box.id}/%2e%2e/${foreign}/json`,
      `${api}/containers/${box.id}%2fjson`,
      `${api}/%63ontainers/${box.id}/json`,
      `${api}/containers/${box.id}/json/`,
      `${api}/containers/${box.id}/json;x`,
      `${api}/containers/${box.id}/json#`,
      `${api}/containers/${box.id}/json?`,
      `${api}/containers/${box.id}/json?a?b`,
      `${api}/containers/${box.id}\\json`,
      `${api}/containers/${box.id.toUpperCase()}/json`,
      `${api.toUpperCase()}/containers/${box.id}/json`,
      ...['/v1.40', '/v1.24', '/v1.99', '/v1.410', '/v01.41', '/v1.41.0', '/v2.41', '/v1.41/v1.41', ''].map(
        (version) => `${version}/containers/${box.id}/json`,
      ),
      `http://docker${api}/containers/${box.id}/json`,
      `${api}/containers/${box.id}/exec%00`,
      '*',
    ];
    for (const target of targets) await comesToNothing(requestText('GET', target));
    for (const target of [
      `${api}/exec/${await newExec()}/resize?h=0&w=80`,
      `${api}/exec/${'0'.repeat(64)}/resize?w=80&h=24&x=1`,
    ]) {
      await comesToNothing(requestText('POST', target));
    }
  });
});

describe('other containers', () => {
  it('are refused: somebody’s, another installation’s, and a helper', async () => {
    for (const [name, { id }] of Object.entries(others).filter(([key]) => key !== 'renamed')) {
      for (const request of [
        requestText('GET', `${api}/containers/${id}/json`),
        requestText('GET', `${api}/containers/${id}/top?ps_args=-o%20pid%2Csid`),
        requestText('POST', `${api}/containers/${id}/exec`, { body: create }),
      ]) {
        expect((await comesToNothing(request)).message, name).toMatch(/it is no box of installation/);
      }
    }
  });

  it('are refused by name and by a part of the id, also where that is a box', async () => {
    for (const id of [
      `box-${world.installation}`,
      box.id.slice(0, 12),
      box.id.slice(0, 63),
      `${box.id}0`,
      hexName.slice(1),
    ]) {
      await comesToNothing(requestText('POST', `${api}/containers/${id}/exec`, { body: create }));
    }
    // The engine knows this one, because that is its name.
    const named = await comesToNothing(requestText('POST', `${api}/containers/${hexName}/exec`, { body: create }));
    expect(named.status).toBe(403);
  });

  it('are not reached by an exec that was made in them, nor by one in a box that may do more', async () => {
    const ids = [
      await execIn(others.foreign),
      await execIn(others.neighbour),
      await execIn(others.helper),
      await execIn(box, { Privileged: true }),
      await execIn(box, { User: 'root' }),
      await execIn(box, { User: '0' }),
    ];
    for (const id of ids) {
      const body = JSON.stringify(start);
      const headers = { ...upgrade, 'Content-Length': String(body.length) };
      for (const request of [
        requestText('POST', `${api}/exec/${id}/start`, { headers, body: start }),
        requestText('GET', `${api}/exec/${id}/json`),
        requestText('POST', `${api}/exec/${id}/resize?h=24&w=80`),
      ]) {
        expect((await comesToNothing(request)).status).toBe(403);
      }
      expect((await world.docker.getExec(id).inspect()).Pid).toBe(0);
    }
  });
});

describe('the body of an exec', () => {
  it('is refused where it asks for more than a command of the box’s own user', async () => {
    const bodies: unknown[] = [
      { ...create, Privileged: true },
      { ...create, Privileged: false },
      { ...create, privileged: true },
      { ...create, PRIVILEGED: true },
      { ...create, User: 'root' },
      { ...create, User: '1000' },
      { ...create, User: '1000:0' },
      { ...create, user: 'root' },
      // Go folds these to `User` and `Tty`, too.
      `{"Cmd":["true"],"U\u017fer":"root"}`,
      `{"Cmd":["true"],"U\\u017fer":"root"}`,
      { ...create, TTY: true },
      { ...create, Container: others.foreign.id },
      { ...create, Cmd: [] },
      { ...create, Cmd: 'true' },
      { ...create, Cmd: ['true\0'] },
      { ...create, Env: ['no-value'] },
      { ...create, WorkingDir: '/proc/self/fd/8' },
      { ...create, ConsoleSize: [0, 80] },
      { ...create, DetachKeys: 'x'.repeat(300) },
      `{"Cmd":["true"],"__proto__":{"Privileged":true}}`,
      [create],
      'null',
      'no JSON',
      '',
    ];
    for (const body of bodies) {
      const answer = await comesToNothing(requestText('POST', `${api}/containers/${box.id}/exec`, { body }));
      expect(answer.status, JSON.stringify(body)).toBe(403);
    }
    const notUtf8 = Buffer.from('{"Cmd":["\xff"]}', 'latin1');
    const headers = { 'Content-Length': String(notUtf8.length) };
    const head = requestText('POST', `${api}/containers/${box.id}/exec`, { headers });
    expect((await comesToNothing([head, notUtf8])).status).toBe(403);
  });

  it('reaches the engine as it was checked: of a field that is there twice, the one that was looked at', async () => {
    const body = `{"Cmd":["true"],"Tty":true,"Tty":false}`;
    const made = await rawRequest(filter.socket, requestText('POST', `${api}/containers/${box.id}/exec`, { body }));
    const id = /"Id":"([0-9a-f]{64})"/.exec(made.text)?.[1] ?? '';
    expect(JSON.stringify(await world.docker.getExec(id).inspect())).toContain('"tty":false');
  });

  it('of a start is refused where it is detached, or says anything else', async () => {
    const id = await newExec();
    for (const body of [
      { ...start, Detach: true },
      { ...start, detach: true },
      { Tty: false },
      { ...start, x: 1 },
      '',
    ]) {
      const length = Buffer.byteLength(typeof body === 'string' ? body : JSON.stringify(body));
      const headers = { ...upgrade, 'Content-Length': String(length) };
      await comesToNothing(requestText('POST', `${api}/exec/${id}/start`, { headers, body }));
    }
    // Without the upgrade nobody would hold its connection.
    await comesToNothing(requestText('POST', `${api}/exec/${id}/start`, { body: start }));
    expect((await world.docker.getExec(id).inspect()).Pid).toBe(0);
  });
});

describe('a request that two readers could read in two ways', () => {
  const text = JSON.stringify(create);
  const head = (lines: string[], method = 'POST'): string =>
    `${method} ${api}/containers/${box.id}/exec HTTP/1.1\r\n${['Host: docker', ...lines].join('\r\n')}\r\n\r\n`;
  const smuggled = (): string => requestText('DELETE', `${api}/containers/${others.foreign.id}?force=1`);

  it('is refused: chunks, lengths, hosts, folded lines, other versions', async () => {
    const length = `Content-Length: ${text.length}`;
    const chunked = `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
    for (const request of [
      head(['Transfer-Encoding: chunked']) + chunked,
      head(['Transfer-Encoding: chunked', length]) + chunked,
      head([length, 'Transfer-Encoding: chunked']) + text,
      head(['Transfer-Encoding: xchunked', length]) + text,
      head(['Transfer-Encoding : chunked', length]) + text,
      head([length, length]) + text,
      head([length, 'Content-Length: 0']) + text,
      head(['Content-Length: +5']) + text,
      head(['Content-Length: 0x40']) + text,
      head([`Content-Length: ${text.length}, ${text.length}`]) + text,
      head(['Host: another', length]) + text,
      head([`X: 1\r\n ${length}`]) + text,
      head(['Expect: 100-continue', length]) + text,
      head(['Expect: something', length]) + text,
      head([length]).replace('HTTP/1.1', 'HTTP/1.0') + text,
      head([length]).replace('Host: docker\r\n', '') + text,
      head([length]).replaceAll('\r\n', '\n') + text,
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      `CONNECT docker:2375 HTTP/1.1\r\nHost: docker\r\n\r\n${smuggled()}`,
      `GET ${api}/_ping HTTP/1.1\r\nHost: docker\r\nContent-Length: ${smuggled().length}\r\n\r\n${smuggled()}`,
      Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x00]).toString('latin1'),
      '\0'.repeat(200),
    ]) {
      await comesToNothing(request);
      await comesToNothing(request + smuggled());
    }
  });

  it('is refused where it takes over a connection that is none of an exec', async () => {
    const body = JSON.stringify(start);
    for (const request of [
      requestText('GET', `${api}/containers/${box.id}/json`, { headers: upgrade }),
      requestText('GET', `${api}/_ping`, { headers: upgrade }),
      requestText('POST', `${api}/session`, { headers: { ...upgrade, Upgrade: 'h2c' } }),
      requestText('POST', `${api}/containers/${box.id}/attach?stream=1&stdin=1`, { headers: upgrade }),
      requestText('POST', `${api}/exec/${await newExec()}/start`, {
        headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Content-Length': String(body.length) },
        body: start,
      }),
    ]) {
      await comesToNothing(request);
      await comesToNothing(request + smuggled());
    }
  });

  it('is not gone on with: after a refusal its connection is closed, and two at once are none', async () => {
    const fine = requestText('GET', `${api}/_ping`, { headers: { Connection: 'keep-alive' } });
    const bad = requestText('GET', `${api}/info`, { headers: { Connection: 'keep-alive' } });
    const legitimate = requestText('POST', `${api}/containers/${box.id}/exec`, { body: create });
    await comesToNothing(bad + legitimate);
    await comesToNothing([bad, legitimate]);
    engine.asked();
    await rawRequest(filter.socket, fine + legitimate);
    await rawRequest(filter.socket, fine + smuggled());
    expect(tellings().filter((line) => !line.endsWith('/_ping'))).toEqual([]);
    const id = await newExec();
    const body = JSON.stringify(start);
    const headers = { ...upgrade, 'Content-Length': String(body.length) };
    const early = requestText('POST', `${api}/exec/${id}/start`, { headers, body: start });
    await comesToNothing(early + smuggled());
  });

  it('is refused where it is too large, or comes too slowly', async () => {
    const large = JSON.stringify({ ...create, Env: [`X=${'x'.repeat(bodyBytes)}`] });
    expect((await comesToNothing(head([`Content-Length: ${large.length}`]) + large)).status).toBe(413);
    expect((await comesToNothing(head([`X: ${'x'.repeat(20_000)}`]))).status).toBe(431);
    expect((await comesToNothing(head([`Content-Length: ${text.length}`]) + text.slice(0, 5), 5_000)).status).not.toBe(
      201,
    );
    await comesToNothing(head([]).slice(0, 40), 5_000);
    const long = { ...upgrade, 'Content-Length': '2000' };
    await comesToNothing(
      requestText('POST', `${api}/exec/${await newExec()}/start`, { headers: long }) + 'x'.repeat(2_000),
    );
    const named = { ...create, ['x'.repeat(bodyBytes / 2)]: 1 };
    const told = await comesToNothing(requestText('POST', `${api}/containers/${box.id}/exec`, { body: named }));
    expect(told.message?.length).toBeLessThan(1_000);
    const headers = { ...upgrade, 'Content-Length': '30' };
    const late = requestText('POST', `${api}/exec/${await newExec()}/start`, { headers });
    expect((await comesToNothing(`${late}{"Detach"`, 5_000)).status).toBe(408);
  });
});

it('so many large bodies at once as there is memory for are read, and small ones beside them', async () => {
  await using own = await startFilter(world.installation, { limits: { largeBodiesAtOnce: 2, smallBodyBytes: 1_000 } });
  const path = `${api}/containers/${box.id}/exec`;
  const large = requestText('POST', path, { body: { ...create, Env: [`X=${'x'.repeat(2_000)}`] } });
  const held = [1, 2].map(() => {
    const socket = connect(own.socket);
    socket.write(large.slice(0, -1));
    return socket;
  });
  await vi.waitFor(async () => expect((await rawRequest(own.socket, large)).status).toBe(503));
  expect((await rawRequest(own.socket, requestText('POST', path, { body: create }))).status).toBe(201);
  for (const socket of held) socket.destroy();
  await vi.waitFor(async () => expect((await rawRequest(own.socket, large)).status).toBe(201));
});

it('each refusal is logged with what was asked and why', async () => {
  await comesToNothing(requestText('POST', `${api}/containers/${others.foreign.id}/exec`, { body: create }));
  expect(JSON.parse(filter.lines.at(-1) ?? '')).toMatchObject({
    level: 'warn',
    msg: 'refused',
    method: 'POST',
    path: `${api}/containers/${others.foreign.id}/exec`,
    status: 403,
    why: expect.stringContaining('it is no box of installation'),
  });
});

it('after all of this every container is as it was', async () => {
  for (const one of [box, ...Object.values(others)]) {
    const { State, RestartCount, HostConfig, Config } = await one.inspect();
    expect(State).toMatchObject({ Running: true, Paused: false });
    expect(RestartCount).toBe(0);
    expect(HostConfig).toMatchObject({ Privileged: false });
    expect(Config.User).toBe('1000');
    expect(await handsOf(world).run(one.id, ['ls', '/home'])).toMatchObject({ exitCode: 0 });
  }
});
