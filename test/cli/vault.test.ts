import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { type Pack, pack } from 'tar-fs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DotfileList, VaultImported, VaultView } from '#shared/vault-schemas.ts';
import { maxFileBytes } from '#shared/vault.ts';
import { type ApiWorld, createApiWorld, token, vaultKey } from '../api/api-world.ts';
import { vault as vaultCommand } from '../../controller/cli/commands/vault.ts';
import { filesOfArchive } from '../../controller/cli/vault/from-archive.ts';
import { filesOfGit } from '../../controller/cli/vault/from-git.ts';
import { type CliRun, runCli } from './cli-run.ts';

const { signal } = new AbortController();
let world: ApiWorld;
let folder: string;
beforeAll(async () => {
  world = await createApiWorld();
  folder = await mkdtemp(join(tmpdir(), 'vault-test-'));
  vi.stubEnv('TMPDIR', folder);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await world.close();
  await rm(folder, { recursive: true, force: true });
});

async function vault(args: readonly string[], input?: string): Promise<CliRun> {
  return await runCli(['vault', ...args], { server: world.url, token, ...(input === undefined ? {} : { input }) });
}

async function held(user: string): Promise<Record<string, string>> {
  const { json } = await world.ask('GET', `/v1/users/${user}/vault`);
  const { dotfiles, environment } = VaultView.parse(json);
  const files = dotfiles.map(({ path, mode, content, encoding }) => [
    path,
    `${mode} ${Buffer.from(content, encoding)}`,
  ]);
  return { ...Object.fromEntries(files), ...environment };
}

type Header = Parameters<Pack['entry']>[0];

async function archive(name: string, entries: readonly (readonly [Header, string])[]): Promise<string> {
  const stream = pack(folder, { entries: [], finalize: false });
  for (const [header, content] of entries) stream.entry(header, content);
  stream.finalize();
  const bytes = await buffer(stream);
  const file = join(folder, name);
  await writeFile(file, name.endsWith('gz') ? gzipSync(bytes) : bytes);
  return file;
}

/** What an import unpacks on its way. */
async function leftHere(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith('spoonbox-vault-'));
}

describe('a dotfile', () => {
  test('is set from a file with its mode, or from standard input, shown, listed and removed', async () => {
    const file = join(folder, 'script');
    await writeFile(file, '#!/bin/sh\n', { mode: 0o750 });
    expect(await vault(['set', 'ann', 'bin/hello', file])).toMatchObject({ code: 0 });
    expect(await vault(['set', 'ann', '.netrc', '--mode', '0600'], 'hunter2\n')).toMatchObject({ code: 0 });
    expect(await held('ann')).toEqual({ 'bin/hello': '0750 #!/bin/sh\n', '.netrc': '0600 hunter2\n' });
    expect(await vault(['get', 'ann', '.netrc'])).toMatchObject({ code: 0, out: 'hunter2\n' });
    const list = await vault(['ls', 'ann', '-o', 'json']);
    expect(JSON.parse(list.out)).toMatchObject({ dotfiles: [{ path: '.netrc', bytes: 8 }, { path: 'bin/hello' }] });
    expect(list.out).not.toContain('hunter2');
    expect(await vault(['rm', 'ann', '.netrc'])).toMatchObject({ code: 0 });
    const again = await vault(['rm', 'ann', '.netrc']);
    expect(again.code).toBe(1);
    expect(again.err).toContain('the vault of ann has no .netrc');
  });

  test('wrong use is told, with the way to the help', async () => {
    for (const args of [[], ['look'], ['set', 'ann'], ['rm', 'ann'], ['env'], ['import', 'ann'], ['toString']]) {
      const use = vaultCommand.run(['--server', world.url, '--token', token, ...args], signal);
      await expect(use).rejects.toMatchObject({
        exitCode: 2,
        message: expect.stringContaining('spoonbox vault --help'),
      });
    }
  });
});

describe('a variable', () => {
  test('is set from standard input or a file, without the line end, and never from an argument', async () => {
    const file = join(folder, 'value');
    await writeFile(file, 'two\nlines\n');
    expect(await vault(['env', 'set', 'bea', 'TOKEN'], 'hunter2\n')).toMatchObject({ code: 0 });
    expect(await vault(['env', 'set', 'bea', 'TEXT', '--from-file', file])).toMatchObject({ code: 0 });
    expect(await held('bea')).toEqual({ TOKEN: 'hunter2', TEXT: 'two\nlines' });
    const asArgument = await vault(['env', 'set', 'bea', 'TOKEN', 'hunter3']);
    expect(asArgument).toMatchObject({ code: 2, err: expect.stringContaining('no process list') });
    expect(await vault(['env', 'get', 'bea', 'TOKEN'])).toMatchObject({ out: 'hunter2' });
    const list = await vault(['env', 'ls', 'bea']);
    expect(list.out).toMatch(/TOKEN +7 B/);
    expect(list.out).not.toContain('hunter2');
    expect(await vault(['env', 'rm', 'bea', 'TOKEN', 'TEXT'])).toMatchObject({ code: 0 });
    expect(await held('bea')).toEqual({});
  });
});

describe('an import of an archive', () => {
  const large = 'x'.repeat(maxFileBytes + 1);
  const evil: readonly (readonly [Header, string])[] = [
    [{ name: './.bashrc', mode: 0o4644 }, 'alias ll="ls -l"\n'],
    [{ name: '.config/', type: 'directory' }, ''],
    [{ name: '.config/git/config', mode: 0o600 }, '[user]\n'],
    [{ name: '../evil' }, 'x'],
    [{ name: '.ssh/../../evil' }, 'x'],
    [{ name: '/etc/cron.d/evil' }, 'x'],
    [{ name: '.link', type: 'symlink', linkname: '/etc/passwd' }, ''],
    [{ name: '.hard', type: 'link', linkname: '/etc/passwd' }, ''],
    [{ name: '.fifo', type: 'fifo' }, ''],
    [{ name: '.null', type: 'character-device', devmajor: 1, devminor: 3 }, ''],
    [{ name: '.sda', type: 'block-device', devmajor: 8, devminor: 0 }, ''],
    [{ name: '.large' }, large],
    [{ name: '.bashrc', mode: 0o644 }, 'alias later=wins\n'],
  ];

  const refusedParts = [
    '../evil',
    '.ssh/../../evil',
    '/etc/cron.d/evil',
    '.link',
    '.hard',
    '.fifo',
    '.null',
    '.sda',
    '.large',
  ];

  test('takes the files, names what it refuses and why, and leaves nothing on this machine', async () => {
    const file = await archive('zipped.tar.gz', evil);
    const dry = await vault(['import', 'cleo', '--archive', file, '--dry-run', '-o', 'json']);
    expect(await held('cleo')).toEqual({});
    expect(VaultImported.parse(JSON.parse(dry.out))).toMatchObject({ added: ['.bashrc', '.config/git/config'] });
    const run = await vault(['import', 'cleo', '--archive', file]);
    expect(run).toMatchObject({ code: 1, out: expect.stringContaining('added: .bashrc') });
    for (const part of refusedParts) expect(run.err).toContain(`refused: ${part}: it`);
    expect(await held('cleo')).toEqual({ '.bashrc': '0644 alias later=wins\n', '.config/git/config': '0600 [user]\n' });
    const plain = await filesOfArchive(await archive('plain.tar', evil), null, signal);
    expect(plain.refused.map(({ entry }) => entry)).toEqual(refusedParts);
    expect(plain.files.map(({ path }) => path)).toEqual(['.bashrc', '.config/git/config']);
    expect(await leftHere()).toEqual([]);
  });

  test('that breaks off, or is none, is refused', async () => {
    const file = await archive('whole.tar', evil);
    const bytes = await readFile(file);
    for (const [name, content] of [
      ['cut.tar', bytes.subarray(0, 1_400)],
      ['text.tar', Buffer.from('no archive at all'.repeat(100))],
      ['cut.tar.gz', gzipSync(bytes).subarray(0, 100)],
    ] as const) {
      await writeFile(join(folder, name), content);
      const reading = filesOfArchive(join(folder, name), null, signal);
      await expect(reading, name).rejects.toThrow('cannot be read as a tar archive');
    }
    expect(await leftHere()).toEqual([]);
  });

  test('takes a part of it, which may replace what is there', async () => {
    await vault(['env', 'set', 'cyd', 'OLD'], 'x');
    const file = await archive('part.tar', [
      [{ name: 'dotfiles-main/home/.vimrc' }, 'set nu\n'],
      [{ name: 'dotfiles-main/README.md' }, 'x'],
    ]);
    const run = await vault(['import', 'cyd', '--archive', file, '--from', 'dotfiles-main/home', '--replace']);
    expect(run).toMatchObject({ code: 0, out: expect.stringContaining('removed: $OLD') });
    expect(await held('cyd')).toEqual({ '.vimrc': '0644 set nu\n' });
  });
});

describe('an import of a git repository', () => {
  test('takes the files of a branch, never what a link leads to, and nothing of git itself', async () => {
    const repository = join(folder, 'repository');
    await mkdir(join(repository, '.config'), { recursive: true });
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', repository, '-c', 'user.name=x', '-c', 'user.email=x@y', ...args], { stdio: 'pipe' });
    await writeFile(join(repository, '.bashrc'), 'alias a=b\n');
    await writeFile(join(repository, '.config/run'), '#!/bin/sh\n', { mode: 0o755 });
    await symlink('/', join(repository, 'root'));
    await symlink('/etc/passwd', join(repository, '.passwd'));
    git('init', '-q', '-b', 'main');
    git('add', '.');
    git('commit', '-qm', 'one');
    git('checkout', '-qb', 'other/branch');
    await writeFile(join(repository, '.bashrc'), 'alias other=branch\n');
    git('commit', '-qam', 'two');
    git('checkout', '-q', 'main');
    const url = `file://${repository}`;
    const run = await vault(['import', 'dana', '--git', url]);
    expect(run.code).toBe(1);
    expect(run.err).toContain('refused: .passwd: it is a link');
    expect(run.err).toContain('refused: root: it is a link');
    expect(await held('dana')).toEqual({ '.bashrc': '0644 alias a=b\n', '.config/run': '0755 #!/bin/sh\n' });
    const from = async (ref: string, below: string | null) =>
      (await filesOfGit({ url, ref, from: below }, signal)).files.map(({ path, content }) => `${path}: ${content}`);
    expect(await from('other/branch', null)).toContain('.bashrc: alias other=branch\n');
    expect(await from('main', '.config')).toEqual(['run: #!/bin/sh\n']);
    await expect(from('none', null)).rejects.toThrow('git ended with exit code');
    await expect(filesOfGit({ url: `${url}-not`, ref: 'HEAD', from: null }, signal)).rejects.toThrow('git ended');
    for (const ref of ['--upload-pack=x', '+a', 'a:b', '']) {
      await expect(from(ref, null)).rejects.toMatchObject({ exitCode: 2 });
    }
    expect(await leftHere()).toEqual([]);
  });
});

test('an export is imported again as it is, and Spoon’s tables by the names of their rows', async () => {
  await vault(['set', 'eve', '.bashrc', '--mode', '0640'], 'alias a=b\n');
  await vault(['env', 'set', 'eve', 'A'], '1');
  const exported = await vault(['export', 'eve']);
  expect(await vault(['import', 'fay', '--json', '-'], exported.out)).toMatchObject({ code: 0 });
  expect(await held('fay')).toEqual(await held('eve'));
  const file = join(folder, 'spoon.json');
  const rows = ['u1', 'u2'].map((userId) => ({ userId, path: '~/.vimrc', content: userId }));
  await writeFile(file, JSON.stringify({ users: [{ _id: 'u1' }], userDotfiles: rows, userEnvironment: [] }));
  expect(await vault(['import', 'gil', '--spoon', file])).toMatchObject({
    code: 1,
    err: expect.stringContaining('2 users'),
  });
  expect(await vault(['import', 'gil', '--spoon', file, '--owner', 'u2'])).toMatchObject({ code: 0 });
  expect(await held('gil')).toEqual({ '.vimrc': '0644 u2' });
  // Far more than a request may carry, of which little is meant.
  const large = { path: '.large', content: 'x'.repeat(200_000) };
  const many = Array.from({ length: 60 }, (_, at) => ({ ...large, username: `of-others-${at}` }));
  const own = [{ username: 'ivy', path: '~/.vimrc', content: 'mine' }];
  const userEnvironment = [{ username: 'ivy', key: 'HOME', value: '/' }];
  await writeFile(file, JSON.stringify({ userDotfiles: [...many, ...own], userEnvironment }));
  expect(await vault(['import', 'ivy', '--spoon', file])).toMatchObject({
    code: 1,
    err: expect.stringContaining('refused: $HOME: its name is set by the box itself'),
  });
  expect(await held('ivy')).toEqual({ '.vimrc': '0644 mine' });
  for (const text of ['', '[]', '{"a":1}', '{"userDotfiles":7}']) {
    await writeFile(file, text);
    const run = vaultCommand.run(['--server', world.url, '--token', token, 'import', 'gil', '--spoon', file], signal);
    await expect(run).rejects.toThrow('is not what it should be');
  }
});

test('a rotation tells what it did, and ends with 1 while something stays closed', async () => {
  await vault(['env', 'set', 'hal', 'A'], '1');
  const next = await world.another({
    vaultSecrets: { current: 'the next secret of all', previous: [vaultKey.current] },
  });
  const rotated = await runCli(['vault', 'rotate'], { server: next.url, token });
  expect(rotated).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^of \d+ users, under the key [0-9a-f]{8}: \d+ entries anew/),
  });
  expect(rotated.err).toContain('SPOON_ENCRYPTION_KEY_PREVIOUS can be removed');
  const closed = await vault(['rotate', '-o', 'json']);
  expect(closed.code).toBe(1);
  expect(JSON.parse(closed.out)).toMatchObject({
    entries: { resealed: 0 },
    unreadable: expect.arrayContaining([expect.objectContaining({ user: 'hal' })]),
  });
  expect((await vault(['ls', 'hal'])).out).toContain('cannot be opened');
  expect(DotfileList.parse((await world.ask('GET', '/v1/users/hal/dotfiles')).json).items).toEqual([]);
  await next.close();
});
