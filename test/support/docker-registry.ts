import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import type Docker from 'dockerode';
import { which } from '../../manifests/deploy/machine/command.ts';
import { portOf, tarOf } from './registry.ts';

/** A real registry (Debian's `docker-registry`) on a free port of this machine. Engines trust 127.0.0.0/8 without TLS. */

/** Why there can be none here; nothing where there can. */
export const whyNoRegistry =
  which('docker-registry') === undefined ? 'no docker-registry here: `npm test` installs it where it may' : undefined;

/** Who may ask a registry that is `isPrivate`. */
export const registryUser = { username: 'spoon', password: 'let-me-in' } as const;
/** The same as `htpasswd -nbB` writes it: the registry takes nothing but bcrypt. */
const htpasswd = 'spoon:$2y$05$QAms6Oa9BtRq/zRwy4UJtufhKzANSrt/GWiAOpG5LJD8r9mDM4v7S\n';

/** A line of its access log. */
const asksForTag = /"HEAD [^"]*\/manifests\/[^:"]+" 200/;

const startWithinMs = 20_000;
const lookMs = 50;

export interface DockerRegistry {
  /** `127.0.0.1:41234` */
  readonly address: string;
  /** How often it was asked so far what a tag stands for: once by each pull. */
  tagRequests(): number;
  close(): Promise<void>;
}

export async function startDockerRegistry(options: { isPrivate: boolean }): Promise<DockerRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'spoonbox-registry-'));
  const address = `127.0.0.1:${await freePort()}`;
  await writeFile(join(folder, 'htpasswd'), htpasswd);
  const auth = { auth: { htpasswd: { realm: 'spoonbox', path: join(folder, 'htpasswd') } } };
  const config = {
    version: '0.1',
    log: { accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: { addr: address, secret: 'of this test alone' },
    ...(options.isPrivate && auth),
  };
  // YAML's parsers read JSON.
  await writeFile(join(folder, 'config.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (log += text));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));

  const deadline = performance.now() + startWithinMs;
  while (!(await answers(address))) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`docker-registry did not start:\n${log}`);
    await wait(lookMs);
  }
  return {
    address,
    tagRequests: () => log.split('\n').filter((line) => asksForTag.test(line)).length,
    async close() {
      child.kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Makes an image of `tar` (one file of so many bytes where there is none), pushes it as `reference`, and forgets it here. Answers its id. */
export async function publish(docker: Docker, reference: string, content: Buffer | string): Promise<string> {
  const tar = typeof content === 'string' ? tarOf('about', Buffer.from(content)) : content;
  const [, repo = '', tag = ''] = /^(.*):([^:/]+)$/.exec(reference) ?? [];
  const imported = await docker.importImage(Readable.from([tar]), { repo, tag });
  await allOf(imported);
  const image = docker.getImage(reference);
  const { Id } = await image.inspect();
  const pushed: Promise<NodeJS.ReadableStream> = image.push({ authconfig: { ...registryUser, serveraddress: '' } });
  await allOf(await pushed);
  await image.remove();
  return Id;
}

/** To its end; an error in it is thrown. */
async function allOf(stream: NodeJS.ReadableStream): Promise<void> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  const error = /"error":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  if (error !== undefined) throw new Error(error);
}

async function answers(address: string): Promise<boolean> {
  try {
    const { status } = await fetch(`http://${address}/v2/`);
    return status === 200 || status === 401;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
