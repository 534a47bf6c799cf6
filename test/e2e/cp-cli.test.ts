import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UserName } from '#shared/identity.ts';
import { type CliRun, runCli } from '../cli/cli-run.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { createInstallation, type Installation, reach } from './installation.ts';

/** `spoonbox cp` by real processes, with the sh and the tar of a real box. */

let installation: Installation;
let controller: ControllerProcess;
let user: UserName;
let folder: string;
beforeAll(async () => {
  installation = await createInstallation();
  await installation.gateway();
  controller = await installation.controller();
  user = installation.newUser('alice');
  folder = await mkdtemp(join(tmpdir(), 'spoonbox-cp-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await installation[Symbol.asyncDispose]();
});

const cp = (...args: string[]): Promise<CliRun> => runCli(['cp', ...args], { ...reach(controller), cwd: folder });
const inBox = async (script: string): Promise<string> => {
  const { code, out, err } = await runCli(['exec', '-n', user, '--', 'sh', '-c', script], reach(controller));
  if (code !== 0) throw new Error(`${script}: ${code} ${err}`);
  return out;
};
const done = { code: 0, out: '' };

test('files with any name go in and come back as they were, with their modes', async () => {
  const names = ['two words', '-rf', '--help', 'a:b', "it's $HOME", 'ünï'];
  const bytes = randomBytes(300_000);
  for (const name of names) await writeFile(join(folder, name), bytes, { mode: 0o600 });
  expect(await cp('--', ...names.map((name) => `./${name}`), `${user}:`)).toMatchObject(done);
  expect(await inBox('stat -c %a -- "it\'s \\$HOME" ./-rf; ls -A | grep spoonbox-cp || true')).toBe('600\n600\n');
  await mkdir(join(folder, 'back'));
  for (const name of names) {
    expect(await cp('--', `${user}:${name}`, 'back')).toEqual({ ...done, err: 'copied to back\n' });
    expect((await readFile(join(folder, 'back', name))).equals(bytes)).toBe(true);
    expect(((await stat(join(folder, 'back', name))).mode & 0o777).toString(8)).toBe('600');
  }
  expect((await readdir(join(folder, 'back'))).sort()).toEqual(names.sort());
});

test('a folder goes in and comes back, twice, and is put together with the one that is there', async () => {
  const src = join(folder, 'src');
  await mkdir(join(src, 'private'), { recursive: true });
  await writeFile(join(src, 'private/key'), 'one');
  await symlink('private/key', join(src, 'link'));
  await chmod(join(src, 'private'), 0o700);
  await symlink(src, join(folder, 'top'));
  // A link that is named is copied as what it leads to.
  expect(await cp('-r', 'top', `${user}:`)).toMatchObject(done);
  expect(await inBox('test ! -L top && cat top/private/key && readlink top/link && echo own >top/own')).toBe(
    'oneprivate/key\n',
  );
  await writeFile(join(src, 'private/key'), 'two');
  expect(await cp('-r', 'top', `${user}:`)).toMatchObject(done);
  expect(await inBox('cat top/private/key top/own; ln -s top there; ln -s top/own file-there')).toBe('twoown\n');

  await mkdir(join(folder, 'out'));
  for (const path of ['top', 'top', 'there']) expect(await cp('-r', `${user}:${path}`, 'out')).toMatchObject(done);
  for (const name of ['top', 'there']) {
    expect((await readdir(join(folder, 'out', name))).sort()).toEqual(['link', 'own', 'private']);
    expect(await readlink(join(folder, 'out', name, 'link'))).toBe('private/key');
    expect(((await stat(join(folder, 'out', name, 'private'))).mode & 0o777).toString(8)).toBe('700');
  }
  expect(await cp(`${user}:file-there`, 'out')).toMatchObject(done);
  expect(await readFile(join(folder, 'out/file-there'), 'utf8')).toBe('own\n');
});

test('what cannot be copied is refused in one line, and nothing is left of it', async () => {
  await writeFile(join(folder, 'one'), 'one');
  await inBox('mkdir -p dir a-folder/one; mkfifo pipe; ln -s /nowhere dangling');
  await mkdir(join(folder, 'empty'));
  for (const [args, words] of [
    [['not-here', `${user}:`], 'not-here cannot be read'],
    [['empty', `${user}:`], 'copy it with -r'],
    [['one', `${user}:no/such/folder`], 'refused'],
    [['one', `${user}:a-folder`], 'is a folder'],
    [[`${user}:dir`, 'empty'], 'dir is a folder: copy it with -r'],
    [[`${user}:pipe`, 'empty'], 'pipe is neither a file nor a folder'],
    [[`${user}:dangling`, 'empty'], 'dangling is not there'],
    [['-r', `${user}:/`, 'empty'], 'no name of its own'],
  ] as const) {
    const { code, out, err } = await cp(...args);
    expect([args, code === 0, out]).toEqual([args, false, '']);
    expect(err).toContain(words);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  }
  expect(await readdir(join(folder, 'empty'))).toEqual([]);
  expect(await inBox('find . -name ".spoonbox-cp*"')).toBe('');
});
