import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf, EngineError } from '#shared/faults.ts';

/** A helper that asks somebody for a password would wait for ever. */
const helperMs = 15_000;
const maxHelperChars = 65_536;
/** As Docker's command line names Docker Hub in its file. */
const hubKey = 'https://index.docker.io/v1/';
const hubNames = new Set(['docker.io', 'index.docker.io']);
/** A helper says that it knows of no login by this line, and in no other way: docker-credential-helpers, `credentials/error.go`. */
const noneKnown = 'credentials not found in native keychain';
/** In place of a user's name, where the secret is an identity token. */
const tokenUser = '<token>';

const Entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
});
const DockerConfig = z.object({
  auths: z.record(z.string(), Entry).default({}),
  credHelpers: z.record(z.string(), z.string()).default({}),
  credsStore: z.string().default(''),
});
const HelperReply = z.object({ Username: z.string(), Secret: z.string() });

/** Who asks a registry, as the engine wants it. Secret. */
export type RegistryAuth = Readonly<Record<string, string>>;

export interface RegistryLogin {
  /** host, with its port; `docker.io` where the reference names none */
  readonly registry: string;
  /** null = nobody: only what is public can be had */
  readonly auth: RegistryAuth | null;
  /** for people, without any secret: `as bob, by /root/.docker/config.json` */
  readonly told: string;
}

/**
 * The login for the registry of an image, as Docker's command line finds it: `credHelpers`, else `credsStore`, else `auths` of
 * `{folder}/config.json`. Read anew each time, because tokens in it are short-lived; nothing of it is kept. Rejects with an
 * EngineError where the file or a helper cannot be used.
 */
export async function loginFor(reference: string, folder: string, signal: AbortSignal): Promise<RegistryLogin> {
  const registry = registryOf(reference);
  const file = join(folder, 'config.json');
  const config = await configIn(file);
  if (config === null) return { registry, auth: null, told: `without a login: there is no ${file}` };
  const key = hubNames.has(registry) ? hubKey : registry;
  const helper = config.credHelpers[key] ?? config.credHelpers[registry] ?? config.credsStore;
  const auth = helper === '' ? fromFile(config.auths, key) : await fromHelper(helper, key, file, signal);
  const by = helper === '' ? file : `docker-credential-${helper} of ${file}`;
  if (auth === null) return { registry, auth, told: `without a login: ${by} has none for it` };
  return { registry, auth: { ...auth, serveraddress: key }, told: `as ${auth.username || 'a token'}, by ${by}` };
}

/** As Docker reads a reference: the first part is a host where it looks like one, or is `localhost`. */
export function registryOf(reference: string): string {
  const slash = reference.indexOf('/');
  const first = reference.slice(0, Math.max(0, slash));
  return first === 'localhost' || /[.:A-Z]/.test(first) ? first : 'docker.io';
}

async function configIn(file: string): Promise<z.infer<typeof DockerConfig> | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw unusable(`${file} cannot be read (${code}): let this process read it, or set DOCKER_CONFIG`);
  }
  try {
    return DockerConfig.parse(JSON.parse(text));
  } catch {
    // What a parser says of it may quote a secret.
    throw unusable(`${file} is not as \`docker login\` writes it: mend it, or log in again`);
  }
}

function fromFile(auths: Readonly<Record<string, z.infer<typeof Entry>>>, key: string): RegistryAuth | null {
  const entry = auths[key] ?? Object.entries(auths).find(([name]) => hostOf(name) === hostOf(key))?.[1];
  if (entry === undefined) return null;
  const { auth, ...rest } = entry;
  const decoded = Buffer.from(auth ?? '', 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  const named =
    colon < 1 ? {} : { username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, '') };
  const found = Object.entries({ ...rest, ...named }).flatMap(([name, value]) =>
    value ? [[name, value] as const] : [],
  );
  return found.length === 0 ? null : Object.fromEntries(found);
}

/** Keys are written with a scheme and a path by some, and without by others. */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').split('/')[0] ?? '';
}

async function fromHelper(
  helper: string,
  key: string,
  file: string,
  signal: AbortSignal,
): Promise<RegistryAuth | null> {
  const program = `docker-credential-${helper}`;
  // A name with a slash would be a path: Docker never writes one.
  if (!/^[\w.-]+$/.test(helper))
    throw unusable(`${file} names ${JSON.stringify(helper)}, which is no credential helper`);
  const { failed, output } = await ask(program, key, signal);
  if (failed !== null) {
    if (output.trim() === noneKnown) return null;
    throw unusable(`${program} of ${file} ${failed} when asked for ${hostOf(key)}`);
  }
  const reply = HelperReply.safeParse(jsonOf(output));
  if (!reply.success) throw unusable(`${program} of ${file} does not answer as a credential helper does`);
  const { Username: username, Secret: secret } = reply.data;
  return username === tokenUser ? { identitytoken: secret } : { username, password: secret };
}

/** Runs `program get`; `failed`: how it ended, null = well. Its errors may hold what it was asked for, and are not passed on. */
async function ask(
  program: string,
  key: string,
  signal: AbortSignal,
): Promise<{ failed: string | null; output: string }> {
  return await new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(helperMs)]);
    const child = spawn(program, ['get'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      ...{ signal: limit, killSignal: 'SIGKILL', env: othersEnvironment() },
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(0, maxHelperChars);
    });
    child.once('error', (error) => {
      if (signal.aborted) reject(signal.reason);
      else if (limit.aborted) resolve({ failed: `gave no answer within ${helperMs / 1_000} s`, output: '' });
      else
        reject(
          unusable(`${program} cannot be run (${codeOf(error) ?? error.message}): install it, or log in without it`),
        );
    });
    child.once('close', (code, killedBy) => {
      resolve({
        failed: code === 0 ? null : code === null ? `was ended by ${killedBy}` : `ended with ${code}`,
        output,
      });
    });
    // One that ends without reading what it is asked is told by its exit code.
    child.stdin.on('error', () => {});
    child.stdin.end(key);
  });
}

/** A helper may need the PATH, a proxy, a key of its cloud; ours are secrets of this process. */
function othersEnvironment(): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !/^SPOON_|^INSTANCE_SECRET$/.test(name));
  return Object.fromEntries(others);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function unusable(message: string): EngineError {
  return new EngineError({ operation: 'pull', kind: 'failed', status: null, message });
}
