import { connect } from 'node:net';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { humanDuration, utcTime } from '#shared/human-time.ts';
import { ServerMessage } from '#shared/terminal-protocol.ts';
import { parseClass } from '#shared/classes.ts';
import { InspectedContainer, viewOfInspected } from '../../controller/src/runtime/container-view.ts';
import { jsonLines } from '../../controller/src/runtime/json-lines.ts';
import { createFakeExec } from '../gateway/fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from '../gateway/gateway-world.ts';

/** What the fuzzers found, by name. */
test('a long line of the engine costs no more in small pieces than in one', async () => {
  // Where each piece costs the whole line so far, this takes many minutes: it ends with the time of a test.
  const line = JSON.stringify('x'.repeat(1_000_000));
  const chunks = Array.from({ length: line.length / 2 }, (_, at) => Buffer.from(line.slice(at * 2, at * 2 + 2)));
  const values: unknown[] = [];
  for await (const value of jsonLines(Readable.from(chunks))) values.push(value);
  expect(values).toEqual([line.slice(1, -1)]);
});

test('an exit code that is no whole number, which would end the CLI with a stack, is no message', () => {
  const exit = { type: 'exit', code: 3, reason: 'exited', message: '' };
  expect(ServerMessage.safeParse(exit).success).toBe(true);
  expect(ServerMessage.safeParse({ ...exit, code: 3.7 }).success).toBe(false);
});

test('a container whose age cannot be read is as old as can be', () => {
  const answer = {
    Id: 'a',
    Name: '/a',
    Image: 'i',
    Created: 'x',
    State: { Status: 'running', ExitCode: 0 },
    Config: {},
  };
  expect(viewOfInspected(InspectedContainer.parse(answer)).createdAtS).toBe(0);
});

test('a time that no date can show is shown all the same', () => {
  expect(utcTime(1e300, 0)).toBe('9999-12-31 23:59:59 UTC');
  expect(utcTime(-1e300, 0)).toBe('00:00:00 UTC');
  expect(humanDuration(-1e300)).toBe('0 s');
});

describe('a class', () => {
  const text = (field: string, value: string): string => `name: a
image: i:1
user: { uid: 1, gid: 1, home: /h }
shell: [sh]
command: [sh]
limits: { memory: ${field === 'memory' ? value : '1GiB'}, cpus: ${field === 'cpus' ? value : '1'}, pids: 16 }
security: { capabilities: [] }
idle: { detached: ${field === 'detached' ? value : '30m'}, attached: 8h }
stopGrace: ${field === 'stopGrace' ? value : '10s'}
readiness: { command: [sh], timeout: ${field === 'timeout' ? value : '10s'} }
`;

  test.each([
    ['memory', '0GiB', 'the engine takes 0 for no limit'],
    ['memory', `${'9'.repeat(400)}GiB`, 'infinite'],
    ['cpus', '0.000000000001', 'the engine takes 0 for no limit'],
    ['detached', `${'9'.repeat(400)}d`, 'infinite'],
    ['stopGrace', '30d', 'a timer that overflows fires at once'],
    ['timeout', '30d', 'a timer that overflows fires at once'],
  ])('is refused with %s %s: %s', (field, value) => {
    expect(parseClass(text('', ''), 'a.yaml')).toHaveProperty('class');
    expect(parseClass(text(field, value), 'a.yaml')).toHaveProperty('problems.length', 1);
  });

  test('is refused where it is longer than a class can be', () => {
    expect(parseClass('['.repeat(1_000_000), 'a.yaml')).toHaveProperty('problems.length', 1);
  });
});

describe('a client that opens a connection and', () => {
  let world: GatewayWorld;
  beforeAll(async () => {
    world = await createGatewayWorld(createFakeExec());
  });
  afterAll(async () => await world?.close());

  test.each([
    ['says nothing', ''],
    ['never ends its headers', 'GET /v1/terminal HTTP/1.1\r\nHost: x\r\nX: '],
    // Node's own limit comes after a minute.
  ])('%s is cut', { timeout: 30_000 }, async (_what, sent) => {
    const { port } = await world.gateway({ limits: { helloWithinMs: 300 } });
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'connect');
    socket.write(sent);
    await once(socket, 'close');
  });
});
