import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DoctorReport } from '#shared/finding.ts';
import type { UserName } from '#shared/identity.ts';
import { VaultHomeView } from '#shared/vault-home-schemas.ts';
import { type CliRun, type CliWhere, runCli } from '../cli/cli-run.ts';
import { type Beside, type Differences, startBeside } from '../support/compose-beside.ts';
import {
  buildWithinMs,
  type ComposeInstallation,
  composeImages,
  composeProgram,
  createComposeInstallation,
} from '../support/compose-installation.ts';
import { handsOf } from '../support/docker.ts';
import { freePort } from '../support/redis.ts';
import { openShell } from '../support/terminal-client.ts';
import { browserProgram, launchBrowser, prompt } from './browser-page.ts';
import { type ConsolePage, loginLink, openConsole } from './console-page.ts';
import { until } from './installation.ts';

/**
 * What a deployment of Spoon's worker is told to do and to look at, from top to bottom, on compose.yml with nginx and the filtering
 * socket: as a user in a browser, and as whoever runs it, with each mistake that is warned about made once.
 */

const upWithinMs = 180_000;
const startsWithinMs = 90_000;
const alias = 'alias greet="echo hello from the vault"\n';
const classFile = new URL('../../manifests/classes/default.yaml', import.meta.url);
const hostFile = new URL('../../manifests/deploy/nginx/one-host.conf', import.meta.url);
const secret = 'b95e0f6a47c2d183e6f0a1b2';
const otherSecret = 'c0a86f0e9b47d2135e6f0a1b';
/** In the container of nginx. */
const nginxFile = '/etc/nginx/nginx.conf';
const nginxPort = 8443;

/** Skipped, and counted as that, where there is no compose or no browser. */
const describeWhole = describe.skipIf(composeProgram === undefined || browserProgram === undefined);

let spoonbox: ComposeInstallation;
let dir: string;

const here = (): CliWhere => ({ server: spoonbox.url, token: spoonbox.token, caFile: spoonbox.certificateFile });
const cli = (...args: string[]): Promise<CliRun> => runCli(args, here());

describeWhole('a deployment that is switched over', () => {
  let browser: Browser;
  let image: string;
  beforeAll(async () => {
    image = await composeImages();
    dir = await mkdtemp(join(tmpdir(), 'spoonbox-switch-'));
    spoonbox = await createComposeInstallation(image, ['nginx', 'filter'], {
      SPOON_AGENT_TERMINAL_SECRET: secret,
    });
    [browser] = await Promise.all([launchBrowser(), spoonbox.up()]);
    await until('nginx serves', async () => (await spoonbox.ask('GET', '/readyz').catch(() => null))?.status === 200);
  }, buildWithinMs);
  afterAll(async () => {
    await browser?.close();
    await spoonbox?.[Symbol.asyncDispose]();
    if (dir !== undefined) await rm(dir, { recursive: true });
  }, upWithinMs);

  async function logIn(): Promise<ConsolePage> {
    const console = await openConsole(browser, await loginLink(spoonbox), { ignoreHTTPSErrors: true });
    await console.page.getByRole('region', { name: 'Boxes' }).waitFor();
    return console;
  }

  describe('for its user', () => {
    let user: UserName;
    let console: ConsolePage;
    const terminal = (): string => `${spoonbox.url}/console/#/terminal/${user}`;
    beforeAll(() => {
      user = spoonbox.newUser('alice');
    });
    afterAll(() => console?.context.close());

    test('opens a terminal in the console, which a link logs in to', async () => {
      console = await logIn();
      await console.page.goto(terminal());
      await console.sees(prompt);
      await console.page.keyboard.type('echo "I am $(id -un), $((40+2))"; echo kept > note\n');
      await console.sees(/^I am spoon, 42$/);
    }, 120_000);

    test('has an alias of the vault in the next shell', async () => {
      const file = join(dir, 'bashrc');
      await writeFile(file, alias);
      expect(await cli('vault', 'set', user, '.bashrc', file)).toMatchObject({ code: 0 });
      await until('it is in the home', async () => {
        const { json } = await spoonbox.ask('GET', `/v1/users/${user}/vault/status`);
        const { condition, applied, revision } = VaultHomeView.parse(json);
        return condition.reason === 'VaultApplied' && applied?.revision === revision;
      });
      await console.page.keyboard.type('exec bash --login\ngreet\n');
      await console.sees(/^hello from the vault$/);
    });

    test('comes back after the box was reaped: told why, with home and alias', async () => {
      const { containerId } = Box.parse((await spoonbox.ask('GET', `/v1/boxes/${user}`)).json);
      expect(await cli('reap', user, '--yes', '--wait')).toMatchObject({ code: 0 });
      await console.page.getByText('an operator reaped the box').waitFor();
      await console.page.getByRole('button', { name: 'New terminal' }).click();
      await console.page.getByText('the box before this one was reaped by an operator').waitFor();
      await console.sees(prompt);
      await console.page.keyboard.type('greet | tr a-z A-Z; cat note\n');
      await console.sees(/^HELLO FROM THE VAULT$/);
      await console.sees(/^kept$/);
      const box = Box.parse((await spoonbox.ask('GET', `/v1/boxes/${user}`)).json);
      expect(box.containerId).not.toBe(containerId);
      expect(console.complaints).toEqual([]);
    });
  });

  describe('for whoever runs it', () => {
    test('is well, says doctor through nginx and in the container of the controller', async () => {
      const user = spoonbox.newUser('bob');
      const outside = await cli('doctor', '--terminal', user, '--hold', '2s', '-o', 'json');
      expect(failuresOf(outside)).toEqual([]);
      expect(outside.code).toBe(0);
      const inside = await doctorIn((...command) => spoonbox.run('controller', ...command));
      expect(failuresOf(inside)).toEqual([]);
      expect(inside.code).toBe(0);
    });

    test('is refused at the start where the engine sees the work directory elsewhere', async () => {
      const SPOON_AGENT_HOST_WORKDIR = dir;
      await using wrong = await startBeside(spoonbox, 'controller', { environment: { SPOON_AGENT_HOST_WORKDIR } });
      expect(await wrong.ended()).not.toBe(0);
      expect(await wrong.logs()).toMatch(`SPOON_AGENT_HOST_WORKDIR (${dir}) `);
    });

    test('is told where nginx has no headers for the upgrade', async () => {
      await using wrong = await nginxWith((text) =>
        text.replaceAll(/proxy_set_header (Upgrade|Connection) \$.*;/g, ''),
      );
      const found = failuresOf(await doctorOver(wrong.port));
      expect(found).toEqual([expect.stringMatching(/^gateway: \S+ answered HTTP 4\d\d to a WebSocket, and not 101$/)]);
    });

    test('is told where nginx gives a silent terminal too little time', async () => {
      await using wrong = await nginxWith((text) =>
        text.replaceAll('proxy_read_timeout 86400s', 'proxy_read_timeout 5s'),
      );
      const user = spoonbox.newUser('carol');
      // Its box is there: to wait for that is silence, too.
      await (await openShell(spoonbox, user, { ca: spoonbox.certificate })).detach();
      const found = failuresOf(await doctorOver(wrong.port, '--terminal', user, '--hold', '1m'));
      expect(found).toEqual([expect.stringMatching(/^terminal of \S+: after \d+ s of silence it was closed/)]);
    });

    test('is told what the worker left, which cleanup lists and does not touch', async () => {
      const name = `spoon-agent-term-${spoonbox.docker.installation}`;
      const job = join(spoonbox.docker.workdir, 'job-1');
      const id = await handsOf(spoonbox.docker).createForeign(name);
      await mkdir(join(job, 'repo', '.git'), { recursive: true });
      const { out } = await cli('doctor', '-o', 'json');
      const [told] = DoctorReport.shape.items
        .parse(JSON.parse(out).items)
        .filter(({ check }) => check === 'left-overs');
      expect(told).toMatchObject({
        verdict: 'warning',
        found: expect.stringMatching(/terminal containers?\b/),
        mend: expect.stringContaining('spoonbox cleanup --legacy'),
      });
      const list = await cli('cleanup', '--legacy');
      expect(list.out).toContain(name);
      expect(list.out).toContain('job-1');
      await spoonbox.docker.docker.getContainer(id).remove();
      await rm(job, { recursive: true });
    });

    test('is reached by the nginx block that the worker had', async () => {
      const block = `worker_processes 1; pid /tmp/nginx.pid; error_log stderr; events {} http { access_log off;
        ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((of) => `${of}_temp_path /tmp/${of};`).join(' ')}
        server {
          listen ${nginxPort} ssl;
          server_name localhost;
          ssl_certificate /etc/nginx/tls/certificate.pem;
          ssl_certificate_key /etc/nginx/tls/key.pem;
          location / {
            proxy_pass http://spoon-agent-worker:3921;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $host;
            proxy_read_timeout 86400s;
            proxy_send_timeout 86400s;
          }
        }
      }`;
      await using old = await nginxWith(() => block);
      const user = spoonbox.newUser('dave');
      const over = {
        ask: async (...asked: Parameters<typeof spoonbox.ask>) => {
          const { status, json } = await spoonbox.ask(...asked);
          return { status, json: { ...TokenReply.parse(json), url: `wss://localhost:${old.port}/v1/terminal` } };
        },
      };
      const shell = await openShell(over, user, { ca: spoonbox.certificate });
      expect(await shell.run('echo over the old block')).toEqual({ code: 0, output: 'over the old block' });
      await shell.detach();
    });

    describe('for who got everything wrong', () => {
      const set = (...settings: string[]) => spoonbox.exec('redis', 'redis-cli', 'config', 'set', ...settings);
      let failures: string[];
      let logs: string;
      beforeAll(async () => {
        const classes = join(dir, 'classes');
        await mkdir(classes);
        // Not the folder of this test itself, which is nobody else's.
        await chmod(classes, 0o755);
        const promises = 'tools: [{ name: codex, command: [codex, --version] }]\n';
        await writeFile(join(classes, 'default.yaml'), (await readFile(classFile, 'utf8')) + promises);
        await set('maxmemory-policy', 'allkeys-lru');
        await set('maxmemory', '500mb');
        await using wrong = await controllerWith(
          { SPOON_AGENT_TERMINAL_SECRET: otherSecret, SPOON_ENCRYPTION_KEY: null, SPOON_CLASSES: '/classes' },
          { '/classes': `${classes}:/classes:ro` },
        );
        failures = failuresOf(await doctorIn(wrong.run));
        logs = await wrong.logs();
      }, upWithinMs);
      afterAll(async () => {
        await set('maxmemory', '0');
        await set('maxmemory-policy', 'noeviction');
      });

      test.each([
        ['different terminal secrets', /^terminal secret: the leading controller, the gateway \S+ have another one/],
        ['no encryption key', /^secrets: SPOON_ENCRYPTION_KEY \(or INSTANCE_SECRET\) is missing/],
        ['a vault that nothing here opens', /^vault: \d+ entr(y|ies) in the vaults of \d+ users? cannot be opened/],
        ['an image without what its class promises', /^image of class default: codex does not run: .* ended with 12\d/],
        [
          'a Redis that throws keys away',
          /^Redis eviction: allkeys-lru: keys may be thrown away at 500\S* MiB, leases/,
        ],
      ])('doctor names %s', (_what, line) => {
        expect(failures).toContainEqual(expect.stringMatching(line));
      });

      test('doctor names nothing else', () => {
        expect(failures).toHaveLength(5);
      });

      test.each([
        'secrets: SPOON_ENCRYPTION_KEY (or INSTANCE_SECRET) is missing',
        'cannot be opened: set SPOON_ENCRYPTION_KEY (or INSTANCE_SECRET), and restart',
        'Redis eviction: allkeys-lru: keys may be thrown away',
      ])('the log of a start says: %s', (line) => {
        expect(logs).toContain(line);
      });
    });
  });

  test(
    'starts with the .env of the worker as it is',
    async () => {
      const worker = await readFile(new URL('../support/legacy.env', import.meta.url), 'utf8');
      // The worker's .env has the older name alone.
      const settings = { SPOON_PUBLIC_WS_URL: '' };
      await using started = await createComposeInstallation(image, [], settings, worker);
      await started.up();
      for (const service of ['controller', 'gateway']) {
        const isHealthy = async () => (await started.inspect(service)).State.Health?.Status === 'healthy';
        await until(`${service} is healthy`, isHealthy, startsWithinMs);
        const said = await started.compose('logs', '--no-color', service);
        expect(said).toContain('SPOON_AGENT_TERMINAL_IDLE_MS has no effect any more: SPOON_AGENT_BOX_IDLE_MS governs');
      }
      const ask = "fetch('http://spoon-agent-worker:3921/readyz').then((answer) => console.log(String(answer.status)))";
      expect(await started.exec('controller', 'node', '--eval', ask)).toBe('200\n');
      expect((await started.run('controller', 'spoonbox', 'status')).code).toBe(0);
      const user = started.newUser('erin');
      expect(await started.exec('controller', 'spoonbox', 'exec', user, '--', 'echo', 'in a box')).toBe('in a box\n');
    },
    upWithinMs,
  );
});

const Box = z.object({ containerId: z.string() });
const TokenReply = z.looseObject({ token: z.string() });
const Findings = z.object({ items: DoctorReport.shape.items });

/** What `doctor -o json` calls a failure, as `check: found`. */
function failuresOf({ out, err }: CliRun): string[] {
  if (out === '') throw new Error(`doctor said nothing: ${err}`);
  const { items } = Findings.parse(JSON.parse(out));
  return items.filter(({ verdict }) => verdict === 'failure').map(({ check, found }) => `${check}: ${found}`);
}

/** Where the public name leads to the container itself, the gateway is asked by the name that it has there. */
async function doctorIn(run: Beside['run']): Promise<CliRun> {
  return await run('env', 'SPOONBOX_GATEWAY=ws://gateway:3921', 'spoonbox', 'doctor', '-o', 'json');
}

/** From here, with the gateway behind another port than the public one. */
async function doctorOver(port: number, ...args: string[]): Promise<CliRun> {
  const cwd = await mkdtemp(join(dir, 'client-'));
  await mkdir(join(cwd, '.spoonbox'));
  const settings = { server: spoonbox.url, token: spoonbox.token, gateway: `wss://localhost:${port}` };
  await writeFile(join(cwd, '.spoonbox/client.json'), JSON.stringify(settings));
  return await runCli(['doctor', '-o', 'json', ...args], { cwd, caFile: spoonbox.certificateFile });
}

/** A controller that does not lead, with these settings instead, once it is ready. */
async function controllerWith(
  environment: NonNullable<Differences['environment']>,
  binds: NonNullable<Differences['binds']> = {},
): Promise<Beside> {
  const beside = await startBeside(spoonbox, 'controller', { environment, binds });
  try {
    await until('the controller is ready', () => answersAt(`http://${beside.address}:3922/readyz`), startsWithinMs);
  } catch (error) {
    const logs = await beside.logs();
    await beside[Symbol.asyncDispose]();
    throw new Error(logs, { cause: error });
  }
  return beside;
}

/** An nginx beside the one of the overlay, with its file as somebody else would have it. */
async function nginxWith(change: (text: string) => string): Promise<Beside & { readonly port: number }> {
  const text = await readFile(hostFile, 'utf8');
  const changed = change(text);
  if (changed === text) throw new Error(`${hostFile.pathname} has not what was to be changed`);
  const file = join(dir, `nginx-${randomUUID()}.conf`);
  await writeFile(file, changed);
  const port = await freePort();
  const binds = { [nginxFile]: `${file}:${nginxFile}:ro` };
  const beside = await startBeside(spoonbox, 'nginx', { binds, port: [nginxPort, port] });
  await until('nginx listens', () => answersAt(`http://${beside.address}:${nginxPort}/`), startsWithinMs);
  return { ...beside, port };
}

/** By any answer in HTTP; a port for TLS has one for that, too. */
async function answersAt(url: string): Promise<boolean> {
  const answer = await fetch(url).catch(() => null);
  return answer !== null && (answer.ok || answer.status === 400);
}
