import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EngineError } from '#shared/faults.ts';
import { loginFor, registryOf } from '../../controller/src/runtime/registry-login.ts';

const never = new AbortController().signal;
const hub = 'https://index.docker.io/v1/';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spoonbox-login-'));
  vi.stubEnv('PATH', `${folder}:${process.env.PATH ?? ''}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const write = (config: unknown) =>
  writeFile(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
const authOf = async (reference: string) => (await loginFor(reference, folder, never)).auth;

/** A credential helper on the PATH; it leaves what it was asked in `asked`. */
async function helper(name: string, script: string): Promise<void> {
  const path = join(folder, `docker-credential-${name}`);
  await writeFile(path, `#!/bin/sh\ncat > '${folder}/asked'\n[ "$1" = get ] || exit 9\n${script}\n`);
  await chmod(path, 0o755);
}

async function refused(reference: string): Promise<string> {
  const error: unknown = await loginFor(reference, folder, never).catch((thrown: unknown) => thrown);
  if (!(error instanceof EngineError)) throw new Error(`it was not refused: ${JSON.stringify(error)}`);
  return error.fault.message;
}

test.each([
  ['debian', 'docker.io'],
  ['spoonbox/box:latest', 'docker.io'],
  ['git.example.org/gib/job:latest', 'git.example.org'],
  ['127.0.0.1:5000/box@sha256:00', '127.0.0.1:5000'],
  ['localhost/box', 'localhost'],
])('%s is an image of %s', (reference, registry) => {
  expect(registryOf(reference)).toBe(registry);
});

describe('the file alone', () => {
  test('a login of Docker Hub is found under its old URL', async () => {
    await write({ auths: { [hub]: { auth: base64('bob:se:cret') } } });
    expect(await authOf('debian:12')).toEqual({ username: 'bob', password: 'se:cret', serveraddress: hub });
  });
  test('an identity token goes with the name', async () => {
    await write({ auths: { 'r.example': { auth: base64('bob:'), identitytoken: 'tok' } } });
    expect(await authOf('r.example/a')).toEqual({ username: 'bob', identitytoken: 'tok', serveraddress: 'r.example' });
  });
  test('an entry without anything in it, as `docker login` leaves it beside a store, is none', async () => {
    await write({ auths: { 'r.example': {} } });
    expect(await authOf('r.example/a')).toBeNull();
  });
  test('a file that is no such file is refused without a word of what is in it', async () => {
    await write(`{"auths": {"r.example": {"auth": "${base64('bob:secret')}"`);
    expect(await refused('r.example/a')).toBe(
      `${folder}/config.json is not as \`docker login\` writes it: mend it, or log in again`,
    );
  });
});

describe('a credential helper', () => {
  test('of the registry counts more than the store, and the store more than the file', async () => {
    await write({
      auths: { 'a.example': { auth: base64('file:x') }, 'b.example': { auth: base64('file:x') } },
      ...{ credHelpers: { 'a.example': 'one' }, credsStore: 'two' },
    });
    await helper('one', `echo '{"ServerURL":"a.example","Username":"one","Secret":"s1"}'`);
    await helper('two', `echo '{"ServerURL":"b.example","Username":"<token>","Secret":"s2"}'`);
    expect(await loginFor('a.example/x', folder, never)).toEqual({
      registry: 'a.example',
      auth: { username: 'one', password: 's1', serveraddress: 'a.example' },
      told: `as one, by docker-credential-one of ${folder}/config.json`,
    });
    expect(await readFile(join(folder, 'asked'), 'utf8')).toBe('a.example');
    expect(await authOf('b.example/x')).toEqual({ identitytoken: 's2', serveraddress: 'b.example' });
    expect(await authOf('debian')).toMatchObject({ identitytoken: 's2' });
    expect(await readFile(join(folder, 'asked'), 'utf8')).toBe(hub);
  });
  test('gets nothing of what only this process is told', async () => {
    vi.stubEnv('SPOON_ENCRYPTION_KEY', 'a-secret').stubEnv('INSTANCE_SECRET', 'another');
    await write({ credsStore: 'env' });
    await helper('env', 'printf \'{"Username":"%s","Secret":"x"}\' "$SPOON_ENCRYPTION_KEY$INSTANCE_SECRET$HOME"');
    expect(await authOf('r.example/x')).toMatchObject({ username: process.env.HOME });
  });
  test('that knows of none is no fault', async () => {
    await write({ credsStore: 'none' });
    await helper('none', 'echo credentials not found in native keychain; exit 1');
    expect((await loginFor('r.example/x', folder, never)).told).toBe(
      `without a login: docker-credential-none of ${folder}/config.json has none for it`,
    );
  });
  test.each([
    ['fails', 'echo my-secret; exit 3', 'ended with 3 when asked for r.example'],
    ['dies', 'kill -SEGV $$', 'was ended by SIGSEGV when asked for r.example'],
    ['babbles', 'echo my-secret', 'does not answer as a credential helper does'],
  ])('that %s is a fault with its name, and nothing of what it said', async (name, script, words) => {
    await write({ credsStore: name });
    await helper(name, script);
    const message = await refused('r.example/x');
    expect(message).toBe(`docker-credential-${name} of ${folder}/config.json ${words}`);
  });
  test('that is not there is a fault, and one with a path in its name is not run', async () => {
    await write({ credsStore: 'gone' });
    expect(await refused('r.example/x')).toMatch(/^docker-credential-gone cannot be run \(ENOENT\): install it/);
    await write({ credsStore: '../x' });
    expect(await refused('r.example/x')).toContain('"../x", which is no credential helper');
  });
});
