import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { parseEnv, promisify } from 'node:util';
import type Docker from 'dockerode';
import { UserName } from '#shared/identity.ts';
import { Engine } from '../../manifests/deploy/machine/docker.ts';
import { compose, programOf } from '../../manifests/deploy/machine/optional.ts';
import { checkoutId } from '../../manifests/deploy/machine/places.ts';
import { composePublicImages, ensurePublicImage } from '../../manifests/deploy/machine/public-image.ts';
import { buildServerImage } from '../../manifests/deploy/machine/server-image.ts';
import { boxImage, createDockerWorld, type DockerWorld } from './docker.ts';
import { freePort } from './redis.ts';

const run = promisify(execFile);
const root = new URL('../../', import.meta.url).pathname;
const socket = '/var/run/docker.sock';
/** The first build fetches some 550 packages. */
export const buildWithinMs = 900_000;
const maxOutputBytes = 16_000_000;
const projectLabel = 'com.docker.compose.project';
const quiet = { progress: () => {}, done: () => {} };

/** undefined: no compose is on this machine, and `npm test` has said so. */
export const composeProgram = programOf(compose);

export type Overlay = 'nginx' | 'filter' | 'shared';

/** A Spoonbox as compose.yml and its overlays make it, of images of this checkout, under a project, names and ports of its own. */
export interface ComposeInstallation extends AsyncDisposable {
  /** what compose calls it: containers, networks and volumes carry it as a label */
  readonly project: string;
  /** its corner of the engine: the installation, the work directory, and all boxes */
  readonly docker: DockerWorld;
  /** of nginx: `https://localhost:PORT`, where API, console and terminals are */
  readonly url: string;
  /** PEM, and where it is: self-signed, for `localhost` */
  readonly certificate: string;
  readonly certificateFile: string;
  readonly token: string;
  /** A name that no other installation on this engine uses. */
  newUser(name: string): UserName;
  /** Runs compose on this project, and answers what it printed. Rejects with that where it fails. */
  compose(...args: string[]): Promise<string>;
  /** `up --detach` with the images that were built; rejects with what the containers said. */
  up(...args: string[]): Promise<void>;
  /** Runs a command in the container of a service. */
  run(service: string, ...command: string[]): ReturnType<typeof runIn>;
  /** As `run`, and answers what it printed. Rejects where its exit code is not 0. */
  exec(service: string, ...command: string[]): Promise<string>;
  /** The container of a service, as the engine has it. */
  inspect(service: string): Promise<Docker.ContainerInspectInfo>;
  /** Containers and networks of the project that are there, running or not. */
  leftOvers(): Promise<string[]>;
  /** Asks the API through nginx. */
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }>;
}

/** Builds the server's image of this checkout, and has the public ones on the engine; minutes, the first time. Answers its name. */
export async function composeImages(): Promise<string> {
  const engine = new Engine(undefined);
  const signal = AbortSignal.timeout(buildWithinMs);
  const image = `spoonbox/server:test-${checkoutId}`;
  await buildServerImage(engine, image, false, quiet, signal);
  for (const name of composePublicImages) await ensurePublicImage(engine, name, false, quiet, signal);
  return image;
}

/**
 * Nothing is started. `image` is what `composeImages` answered; `settings` go into the .env file beside what every installation
 * needs. `worker`: the .env of a deployment that ran Spoon's worker; it is the file then, as it is but for the name of the
 * installation, and what this machine has elsewhere is told beside it.
 */
export async function createComposeInstallation(
  image: string,
  overlays: readonly Overlay[],
  settings: Readonly<Record<string, string>> = {},
  worker: string | null = null,
): Promise<ComposeInstallation> {
  if (composeProgram === undefined) throw new Error('there is no compose here: install docker-compose');
  const program = composeProgram;
  const project = `spoonbox-test-${randomBytes(4).toString('hex')}`;
  const undo = new AsyncDisposableStack();
  const docker = await createDockerWorld();
  undo.defer(() => docker.dispose());
  try {
    const dir = await mkdtemp(join(tmpdir(), 'spoonbox-compose-'));
    undo.defer(() => rm(dir, { recursive: true }));
    const tls = await selfSigned(dir);
    const httpsPort = await freePort();
    const given = worker === null ? {} : parseEnv(worker);
    const token = given.SPOON_AGENT_WORKER_INTERNAL_TOKEN ?? randomBytes(24).toString('base64url');
    const environment = {
      SPOON_IMAGE: image,
      SPOON_BOX_IMAGE: boxImage,
      SPOON_INSTALLATION_ID: docker.installation,
      SPOON_AGENT_HOST_WORKDIR: docker.workdir,
      SPOON_AGENT_WORKER_INTERNAL_TOKEN: token,
      SPOON_ENCRYPTION_KEY: randomBytes(24).toString('base64url'),
      SPOON_DOCKER_GID: String((await stat(socket)).gid),
      SPOON_CONTROLLER_PORT: String(await freePort()),
      SPOON_GATEWAY_PORT: String(await freePort()),
      SPOON_HTTPS_PORT: String(httpsPort),
      SPOON_PUBLIC_URL: `https://localhost:${httpsPort}`,
      SPOON_PUBLIC_WS_URL: `wss://localhost:${httpsPort}`,
      SPOON_TLS_CERTIFICATE: tls.certificateFile,
      SPOON_TLS_KEY: tls.keyFile,
      ...settings,
    };
    const file = join(dir, 'env');
    const { SPOON_INSTALLATION_ID } = environment;
    await writeFile(file, worker === null ? linesOf(environment) : worker + linesOf({ SPOON_INSTALLATION_ID }));
    const files = ['compose.yml', ...overlays.map((overlay) => `manifests/deploy/compose.${overlay}.yml`)];
    const fixed = ['--project-name', project, '--env-file', file, ...files.flatMap((name) => ['--file', name])];
    const beside = worker === null ? {} : withoutAll(environment, given, 'SPOON_AGENT_HOST_WORKDIR');
    const env = { ...withoutOurs(process.env), ...beside, SPOON_ENV_FILE: file };
    const onProject = { label: [`${projectLabel}=${project}`] };

    async function onCompose(...args: string[]): Promise<string> {
      const { stdout } = await run(program, [...fixed, ...args], { cwd: root, env, maxBuffer: maxOutputBytes });
      return stdout;
    }

    async function inspect(service: string): Promise<Docker.ContainerInspectInfo> {
      const filters = { label: [...onProject.label, `com.docker.compose.service=${service}`] };
      const [found] = await docker.docker.listContainers({ all: true, filters });
      if (found === undefined) throw new Error(`${project} has no container of ${service}`);
      return await docker.docker.getContainer(found.Id).inspect();
    }

    // Not by compose, which takes a second to begin.
    async function inService(service: string, ...command: string[]): ReturnType<typeof runIn> {
      return await runIn(docker.docker, docker.docker.getContainer((await inspect(service)).Id), command);
    }

    undo.defer(async () => {
      await onCompose('down', '--volumes', '--timeout', '5');
    });
    const owned = undo.move();
    return {
      project,
      docker,
      url: environment.SPOON_PUBLIC_URL,
      certificate: tls.certificate,
      certificateFile: tls.certificateFile,
      token,
      newUser: (name) => UserName.parse(`${name}-${randomBytes(4).toString('hex')}`),
      compose: onCompose,
      async up(...args) {
        try {
          await onCompose('up', '--detach', '--no-build', ...args);
        } catch (error) {
          throw new Error(`${String(error)}\n${await onCompose('logs', '--no-color', '--tail', '30')}`, {
            cause: error,
          });
        }
      },
      run: inService,
      async exec(service, ...command) {
        const { code, out, err } = await inService(service, ...command);
        if (code !== 0) throw new Error(`${command.join(' ')} in ${service} ended with ${code}: ${err}`);
        return out;
      },
      inspect,
      async leftOvers() {
        const containers = await docker.docker.listContainers({ all: true, filters: onProject });
        const networks = await docker.docker.listNetworks({ filters: onProject });
        return [...containers.flatMap(({ Names }) => Names), ...networks.map(({ Name }) => Name)];
      },
      ask: (method, path, body) =>
        askOver(environment.SPOON_PUBLIC_URL, { ca: tls.certificate, token }, method, path, body),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

/** Runs a command in a container to its end. */
export async function runIn(
  docker: Docker,
  container: Docker.Container,
  command: readonly string[],
): Promise<{ code: number | null; out: string; err: string }> {
  const exec = await container.exec({ Cmd: [...command], AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({ hijack: true, stdin: false });
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  stream.once('end', () => {
    out.end();
    err.end();
  });
  const [output, complaint] = await Promise.all([text(out), text(err)]);
  return { code: (await exec.inspect()).ExitCode, out: output, err: complaint };
}

async function selfSigned(dir: string): Promise<{ certificate: string; certificateFile: string; keyFile: string }> {
  const certificateFile = join(dir, 'certificate.pem');
  const keyFile = join(dir, 'key.pem');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-keyout', keyFile];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await run('openssl', ['req', '-x509', ...key, ...names, '-days', '2', '-out', certificateFile]);
  return { certificate: await readFile(certificateFile, 'utf8'), certificateFile, keyFile };
}

function linesOf(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** What is not in the file; `but` is told where it is, too. */
function withoutAll(environment: Readonly<Record<string, string>>, file: object, but: string): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => name === but || !(name in file)));
}

/** Settings of this process are not the project's; where the engine is stays. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('SPOON_')));
}

async function askOver(
  url: string,
  { ca, token }: { ca: string; token: string },
  method: string,
  path: string,
  body: unknown,
): Promise<{ status: number; json: unknown }> {
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  return await new Promise((resolve, reject) => {
    const asked = request(url + path, { method, headers, ca }, (response) => {
      text(response).then((answer) => {
        const isJson = /json/.test(response.headers['content-type'] ?? '');
        resolve({ status: response.statusCode ?? 0, json: isJson ? JSON.parse(answer) : answer });
      }, reject);
    });
    asked.on('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
