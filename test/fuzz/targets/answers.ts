import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { systemClock } from '#shared/clock.ts';
import { connectDocker, engineCall } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import { createLogger } from '#shared/log.ts';
import { createDockerRuntime } from '../../../controller/src/runtime/docker-runtime.ts';
import { createExec, openExecStream } from '../../../gateway/src/exec/exec-calls.ts';
import { alice, installation, spec } from '../../support/box-facts.ts';
import { portOf } from '../../support/registry.ts';
import { noneLeft, openSockets } from '../sockets.ts';
import { must, target } from '../target.ts';
import { junk, mutated, text } from '../values.ts';

/** What comes back instead of an engine's answer: a proxy's page, half of it, nothing, another API's. */
interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** bytes after which the connection breaks; null = it is whole */
  readonly breaksAt: number | null;
}

const limitMs = 100;
const container = {
  Id: 'f'.repeat(64),
  Name: '/spoon-box-alice',
  Image: spec.imageId,
  Created: '2024-01-02T03:04:05.678901234Z',
  State: { Status: 'running', ExitCode: 0, OOMKilled: false, Running: true },
  Config: { Labels: { 'dev.spoonbox.user': 'alice' } },
  ExecIDs: ['e1'],
};
const listed = [
  { Id: 'f'.repeat(64), Names: ['/spoon-box-alice'], ImageID: 'i', State: 'running', Created: 1, Labels: {} },
];
const exec = { Id: 'e1', Running: false, ExitCode: 0, Pid: 7, StatusCode: 0 };
const refused = { message: 'No such container: spoon-box-alice' };
const json = fc.oneof(
  mutated(container, listed, exec, refused),
  fc.constantFrom<unknown>(container, listed, exec),
  junk,
);
const answer: fc.Arbitrary<Answer> = fc.record({
  status: fc.constantFrom(200, 200, 200, 201, 204, 206, 301, 304, 400, 404, 409, 418, 500, 502, 503),
  type: fc.constantFrom('application/json', 'application/json', 'text/html', 'application/vnd.docker.raw-stream', ''),
  body: fc.oneof(
    { weight: 4, arbitrary: json.map((value) => JSON.stringify(value) ?? '') },
    text,
    fc.constant('{"Id":'),
    fc.constant('x'.repeat(100_000)),
  ),
  breaksAt: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, fc.nat({ max: 40 })),
});

export const answers = target(
  'an engine that answers anything',
  3,
  fc.array(answer, { minLength: 1, maxLength: 4 }),
  async () => {
    const before = openSockets();
    const workdir = await mkdtemp(join(tmpdir(), 'spoonbox-fuzz-'));
    let script: readonly Answer[] = [];
    let asked = 0;
    const server = createServer((request, response) => {
      request.resume();
      const version = JSON.stringify({ ApiVersion: '1.41', MinAPIVersion: '1.12' });
      const isVersion = request.url === '/version';
      const { status, type, body, breaksAt } = isVersion
        ? { status: 200, type: 'application/json', body: version, breaksAt: null }
        : (script[asked++ % script.length] ?? { status: 500, type: '', body: '', breaksAt: 0 });
      response.writeHead(status, { ...(type !== '' && { 'content-type': type }), connection: 'close' });
      if (breaksAt === null) response.end(body);
      else response.write(body.slice(0, breaksAt), () => request.socket.destroy());
    });
    server.on('upgrade', (_request, socket) => {
      const { status, body } = script[asked++ % script.length] ?? { status: 500, body: '' };
      const head = status < 300 ? '101 UPGRADED' : `${status} No`;
      socket.on('error', () => {});
      socket.end(`HTTP/1.1 ${head}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n${body}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const docker = await connectDocker(`tcp://127.0.0.1:${portOf(server)}`);
    const log = createLogger({ name: 'fuzz', level: 'silent' });
    const timeouts = {
      readMs: limitMs,
      changeMs: limitMs,
      stopMarginMs: limitMs,
      helperMs: limitMs,
      pullSilenceMs: limitMs,
    };
    const common = { docker, installation, workdir, hostWorkdir: workdir, clock: systemClock, log };
    const runtime = await createDockerRuntime({ ...common, timeouts });
    const { signal } = new AbortController();
    const box = { user: alice, generation: 1, spec };
    const owner = { uid: 1, gid: 1, image: 'box:1' };
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      list: () => runtime.list(signal),
      observe: () => runtime.observe(alice, { thorough: true }, signal),
      countExecs: () => runtime.countExecs('e', signal),
      image: () => runtime.image('box:1', signal),
      create: () => runtime.create(box, signal),
      start: () => runtime.start('e', signal),
      stop: () => runtime.stop('e', 0, signal),
      remove: () => runtime.remove('e', signal),
      probe: () => runtime.probe('e', { command: ['sh'], timeout: limitMs }, signal),
      pull: () => runtime.pull('box:1', () => {}, signal),
      ensureHome: () => runtime.ensureHome(alice, owner, signal),
      ensureNetwork: () => runtime.ensureNetwork(signal),
      removeLeftHelpers: () => runtime.removeLeftHelpers(signal),
      makeExec: () => {
        const body = { Cmd: ['sh'], AttachStdout: true, AttachStderr: true };
        return engineCall('exec-create', limitMs, (limit) => createExec(docker, 'e1', body, limit), signal);
      },
      terminal: async () => {
        const limit = AbortSignal.timeout(limitMs);
        const stream = await openExecStream(docker, 'e1', {}, limit).catch((error: unknown) => {
          if (!limit.aborted) throw error;
          return null;
        });
        stream?.destroy();
      },
    };
    return {
      async close() {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
        await rm(workdir, { recursive: true });
        await noneLeft(before);
      },
      async check(given) {
        script = given;
        const names = Object.keys(calls);
        const name = names[given.reduce((sum, { body }) => sum + body.length, given.length) % names.length] ?? 'list';
        asked = 0;
        const call = calls[name];
        must(call !== undefined, 'there is such a call');
        await call().catch((error: unknown) => {
          must(error instanceof EngineError, `${name} fails with a fault, not with ${String(error)}`);
          must(error.fault.message.length <= 501, `${name} tells it shortly`);
        });
      },
    };
  },
);
