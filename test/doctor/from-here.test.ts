import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import type { ApiClient } from '../../controller/sdk/api-client.ts';
import { checkCertificates } from '../../controller/cli/doctor/check-certificate.ts';
import { checkGateway, checkOrigins } from '../../controller/cli/doctor/check-gateway.ts';
import { checkTerminal } from '../../controller/cli/doctor/check-terminal.ts';
import { roomIn } from '../../controller/src/doctor/disk.ts';
import { configurationFindings } from '../../controller/src/doctor/configuration.ts';
import { weaknessOf } from '../../controller/src/doctor/secrets.ts';
import { terminalPath } from '#shared/terminal-protocol.ts';
import { createFakeExec } from '../gateway/fake-exec.ts';
import { type Nginx, nginxProgram, startNginx } from '../gateway/behind-nginx.ts';
import { createGatewayWorld, type GatewayWorld } from '../gateway/gateway-world.ts';
import { lineOf } from './doctor-world.ts';

/** What the command looks at by itself: the way to the gateway, certificates, and what needs no engine. */

const { signal: never } = new AbortController();
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening<Kind extends Server>(server: Kind): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port');
  return address.port;
}

/** In front of a port; a connection over which nothing came from behind for so long is cut, as proxies do. */
async function proxyOf(port: number, silentMs: number): Promise<number> {
  return await listening(
    createServer((client: Socket) => {
      const behind = connect(port, '127.0.0.1');
      behind.setTimeout(silentMs, () => client.destroy());
      client.pipe(behind).pipe(client);
      client.on('error', () => behind.destroy());
      behind.on('error', () => client.destroy());
      client.on('close', () => behind.destroy());
    }),
  );
}

/** nginx of the manifests, with these mistakes, until the test ends. */
async function nginxWith(...[ports, mistakes]: Parameters<typeof startNginx>): Promise<Nginx> {
  const nginx = await startNginx(ports, mistakes);
  onTestFinished(() => nginx.stop());
  return nginx;
}

const at = (port: number): string => `ws://127.0.0.1:${port}${terminalPath}`;

describe('the way to the gateway', () => {
  let world: GatewayWorld;
  beforeAll(async () => {
    world = await createGatewayWorld(createFakeExec());
  });
  afterAll(() => world?.close());

  test('is gone with a real WebSocket, and what it says comes back', async () => {
    const { port } = await world.gateway();
    expect(lineOf(await checkGateway(at(port), never))).toBe(
      `ok gateway: ${at(port)} passes WebSockets on both ways, and refuses a wrong token`,
    );
  });

  test('fails where a proxy does not pass the upgrade on', async () => {
    const port = await listening(createHttpServer((_request, response) => response.writeHead(426).end()));
    const { verdict, found, mend } = await checkGateway(at(port), never);
    expect([verdict, found]).toEqual(['failure', `${at(port)} answered HTTP 426 to a WebSocket, and not 101`]);
    expect(mend).toContain('Upgrade and Connection headers');
  });

  test.skipIf(nginxProgram === undefined)(
    'leads through nginx as it is documented, and not without its headers',
    async () => {
      const { port } = await world.gateway();
      const right = await nginxWith([port]);
      expect(lineOf(await checkGateway(at(right.port), never))).toMatch(/^ok gateway: /);
      const wrong = await nginxWith([port], [['proxy_set_header Upgrade $http_upgrade;', '']]);
      expect(lineOf(await checkGateway(at(wrong.port), never))).toMatch(
        /^failure gateway: .* answered HTTP 4\d\d to a/,
      );
    },
  );

  test('fails where something else takes WebSockets there', async () => {
    const other = createHttpServer();
    new WebSocketServer({ server: other }).on('connection', (socket) => socket.on('message', () => socket.close(1008)));
    const port = await listening(other);
    expect(lineOf(await checkGateway(at(port), never))).toMatch(/^failure gateway: .* closed a WebSocket with 1008/);
  });

  test('is open to the pages of the console, and closed to others, where the list says so', async () => {
    const { port } = await world.gateway({ origins: ['https://spoon.example'] });
    expect(lineOf(await checkOrigins(at(port), 'https://spoon.example', never))).toMatch(
      /^ok origins: .* only if they/,
    );
    expect(lineOf(await checkOrigins(at(port), 'https://console.example', never))).toBe(
      'warning origins: pages of https://console.example, where the console is, may not open terminals',
    );
    const { port: open } = await world.gateway();
    expect(lineOf(await checkOrigins(at(open), 'https://spoon.example', never))).toMatch(/^ok origins: any page/);
  });
});

describe('a terminal from end to end', () => {
  /** A gateway that says hello, and a shell that answers each line, as long as it is not silent. */
  async function shell(answersMost = Number.POSITIVE_INFINITY): Promise<number> {
    const http = createHttpServer();
    new WebSocketServer({ server: http }).on('connection', (socket) => {
      let answered = 0;
      socket.on('message', (data, isBinary) => {
        if (!isBinary) {
          const sizes = { cols: 80, rows: 24, highBytes: 1, lowBytes: 1, ackEveryBytes: 1 };
          const who = { session: 's', user: 'alice', mode: 'rw', containerId: 'c', viewer: 'v', start: 'new' };
          const rest = { replayBytes: 0, offset: 0, received: 0, ticket: null, graceMs: 1 };
          socket.send(JSON.stringify({ type: 'hello', ...who, ...rest, ...sizes }));
          return;
        }
        answered += 1;
        // What is typed is shown, as terminals do, before it is answered.
        socket.send(Buffer.from(`$ ${String(data)}`));
        if (answered <= answersMost) socket.send(Buffer.from('spoonbox-answers\r\n'));
        else socket.close(4410);
      });
    });
    return await listening(http);
  }

  async function checked(port: number, holdMs: number): Promise<string> {
    const client = {
      terminalToken: async () => ({ token: 't', url: at(port), session: 's', expiresAt: 0 }),
    } satisfies Partial<ApiClient>;
    const finding = await checkTerminal(
      client,
      { user: 'alice', terminalUrl: null, holdMs, onStatus: () => {} },
      never,
    );
    return lineOf(finding);
  }

  test('is well where a shell answers before and after a silence', async () => {
    expect(await checked(await shell(), 10)).toMatch(/^ok terminal of alice: a shell answers, also after/);
  });

  test('is a failure where a proxy cuts what is silent', async () => {
    const proxy = await proxyOf(await shell(), 200);
    expect(await checked(proxy, 60_000)).toMatch(
      /^failure terminal of alice: after \d+ s of silence it was closed with 1006/,
    );
  });

  test.skipIf(nginxProgram === undefined)('is a failure where nginx does not let a silent one live', async () => {
    const nginx = await nginxWith([await shell()], [['proxy_read_timeout 75s;', 'proxy_read_timeout 1s;']]);
    expect(await checked(nginx.port, 60_000)).toMatch(
      /^failure terminal of alice: after \d+ s of silence it was closed/,
    );
  });

  test('is a failure where the shell is gone after the silence', async () => {
    expect(await checked(await shell(1), 10)).toMatch(/^failure terminal of alice: it was closed with 4410/);
  });
});

describe('certificates', () => {
  const known = getCACertificates('default');
  afterEach(() => setDefaultCACertificates(known));

  /** One for so many days, and where it is shown. */
  async function served(days: number): Promise<{ url: string; cert: string }> {
    const dir = mkdtempSync(join(tmpdir(), 'spoonbox-certificate-'));
    const files = ['-keyout', join(dir, 'key'), '-out', join(dir, 'cert')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', ['req', ...kind, '-days', String(days), ...subject, ...files], { stdio: 'ignore' });
    const cert = readFileSync(join(dir, 'cert'), 'utf8');
    const port = await listening(createHttpsServer({ key: readFileSync(join(dir, 'key')), cert }));
    rmSync(dir, { recursive: true });
    return { url: `wss://127.0.0.1:${port}${terminalPath}`, cert };
  }

  test.each([
    [90, 0, /^ok certificate of .*: valid for 89 more days$/],
    [90, 80, /^warning certificate of .*: valid for 9 more days$/],
    [90, 88, /^warning certificate of .*: valid for 1 more day$/],
    [90, 91, /^failure certificate of .*: expired /],
  ])('for %i days are told so %i days later', async (days, laterDays, line) => {
    const { url, cert } = await served(days);
    setDefaultCACertificates([cert]);
    expect((await checkCertificates([url], Date.now() + laterDays * 86_400_000, never)).map(lineOf)).toEqual([
      expect.stringMatching(line),
    ]);
  });

  test('of nobody who is known are failures, and so is what speaks no TLS', async () => {
    const { url: own } = await served(90);
    const plain = `https://127.0.0.1:${await listening(createServer((socket) => socket.end('no')))}`;
    const lines = (await checkCertificates([own, own, plain, 'http://127.0.0.1:1'], Date.now(), never)).map(lineOf);
    expect(lines).toEqual([
      expect.stringMatching(/^failure certificate of .*: is not trusted here \(.*SELF_SIGNED/),
      expect.stringMatching(/^failure certificate of /),
    ]);
  });
});

test.each([
  ['changeme', 'example'],
  ['your-secret-here-0123456789', 'example'],
  ['replace_me_with_a_long_value', 'example'],
  ['<generate one>', 'example'],
  ['0123456789abcdef0123456789abcdef', 'example'],
  ['f3a9c1', 'shorter'],
  ['abababababababababababab', 'few characters'],
  ['b5f1c2a86de04973a1', null],
  ['q<7Vd/2k>Xw9!mZe4^Rt', null],
])('the secret %s is weak: %s', (secret, why) => {
  const weakness = weaknessOf(secret);
  expect(weakness?.why ?? null).toEqual(why === null ? null : expect.stringContaining(why));
});

test.each([
  [{ freeBytes: 50, totalBytes: 100, freeFiles: 0, totalFiles: 0 }, 'ok'],
  [{ freeBytes: 9, totalBytes: 100, freeFiles: 0, totalFiles: 0 }, 'warning'],
  [{ freeBytes: 2, totalBytes: 100, freeFiles: 0, totalFiles: 0 }, 'failure'],
  [{ freeBytes: 0.9, totalBytes: 1.5, freeFiles: 0, totalFiles: 0 }, 'failure'],
  [{ freeBytes: 50, totalBytes: 100, freeFiles: 5, totalFiles: 100 }, 'warning'],
  [{ freeBytes: 50, totalBytes: 100, freeFiles: 1, totalFiles: 100 }, 'failure'],
] as const)('a disk with %o (GiB) is %s', (room, verdict) => {
  const gib = 1024 ** 3;
  const bytes = { freeBytes: room.freeBytes * gib, totalBytes: room.totalBytes * gib };
  expect(roomIn('disk of homes', { ...room, ...bytes }, 'make room').verdict).toBe(verdict);
});

test('what the configuration warned of is told again, and addresses without TLS that are not this machine', () => {
  const config = {
    warnings: ['SPOON_XY is not a variable of Spoonbox and has no effect'],
    publicWsUrl: 'ws://worker.spoon.example',
    publicUrl: 'http://127.0.0.1:3922',
  };
  expect(configurationFindings(config).map(lineOf)).toEqual([
    'warning configuration: SPOON_XY is not a variable of Spoonbox and has no effect',
    expect.stringMatching(
      /^warning configuration: SPOON_PUBLIC_WS_URL is ws:\/\/worker\.spoon\.example: .*plain text$/,
    ),
  ]);
});
