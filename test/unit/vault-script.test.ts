import { spawn } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HomeWritten } from '#shared/vault-status.ts';
import type { VaultOrder } from '#shared/vault-orders.ts';
import type { HomeVault } from '../../controller/src/runtime/port.ts';
import { vaultInput, writtenOf } from '../../controller/src/runtime/vault.ts';
import { vaultScript } from '../../controller/src/runtime/vault-script.ts';

/** What the script does to a home, by the shell of this machine. That a box runs it alike is in `vault.docker.test.ts`. */

let home: string;
let revision: number;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'spoonbox-home-'));
  revision = 1_000;
});
afterEach(() => rm(home, { recursive: true, force: true }));

type Files = Readonly<Record<string, string | { readonly text: string; readonly mode: number }>>;

function vaultOf(files: Files, orders: readonly VaultOrder[] = []): HomeVault {
  revision += 1;
  return {
    revision,
    orders,
    files: Object.entries(files).map(([path, file]) => {
      const { text, mode } = typeof file === 'string' ? { text: file, mode: 0o644 } : file;
      return { path, mode, content: Buffer.from(text) };
    }),
  };
}

async function run(input: Buffer): Promise<{ code: number | null; out: string; errors: string }> {
  const child = spawn('/bin/sh', ['-c', vaultScript, 'spoonbox-vault', '20'], {
    env: { PATH: process.env.PATH ?? '', HOME: home },
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [code, out, errors] = await Promise.all([ended, buffer(child.stdout), buffer(child.stderr)]);
  return { code, out: out.toString(), errors: errors.toString() };
}

async function write(files: Files, orders: readonly VaultOrder[] = []): Promise<HomeWritten> {
  const vault = vaultOf(files, orders);
  const { code, out, errors } = await run(vaultInput(vault));
  expect({ code, errors }).toEqual({ code: 0, errors: '' });
  const written = writtenOf(out, vault);
  if (written === null) throw new Error(`this is no answer: ${out}`);
  expect(written.revision).toBe(revision);
  return written;
}

/** All went in, and nothing differs. */
async function writeAll(files: Files, orders: readonly VaultOrder[] = []): Promise<void> {
  expect(await write(files, orders)).toMatchObject({ drift: [], failed: [] });
}

const asked = (order: VaultOrder['order'], path: string): VaultOrder[] => [{ order, path, revision: revision + 1 }];
const read = (path: string): Promise<string> => readFile(join(home, path), 'utf8');
const edit = (path: string, text: string): Promise<void> => writeFile(join(home, path), text);
const modeOf = async (path: string): Promise<number> => (await stat(join(home, path))).mode & 0o777;
const isThere = (path: string): Promise<boolean> =>
  lstat(join(home, path)).then(
    () => true,
    () => false,
  );

describe('writing', () => {
  test('files are written with their modes and directories, whatever their names and their bytes are', async () => {
    const files = {
      '.bashrc': 'alias ll="ls -l"\n',
      '.config/git/config': '[user]\n',
      '.ssh/id': { text: 'secret', mode: 0o600 },
      'bin/run': { text: '#!/bin/sh\n', mode: 0o755 },
      ' ends with spaces ': 'spaces',
      "it's $HOME `id` *?[a] \\n": 'quoted',
      '-rf': 'no option',
      'a/-n/b': 'neither',
      'straße/ключ': 'ü',
      empty: '',
    };
    await writeAll(files);
    for (const [path, file] of Object.entries(files)) {
      expect(await read(path)).toBe(typeof file === 'string' ? file : file.text);
    }
    expect(await Promise.all(['.bashrc', '.ssh/id', 'bin/run'].map(modeOf))).toEqual([0o644, 0o600, 0o755]);
    expect(await modeOf('.ssh')).toBe(0o700);
  });

  test('bytes that are no text come through as they are', async () => {
    const content = Buffer.from(Array.from({ length: 70_000 }, (_, at) => (at * 7) % 256));
    const files = ['one', 'two'].map((path) => ({ path, mode: 0o640, content }));
    const { code } = await run(vaultInput({ revision: 5, orders: [], files }));
    expect(code).toBe(0);
    expect((await readFile(join(home, 'two'))).equals(content)).toBe(true);
  });

  test('what changed in the vault is written over what was written before, also where only the mode changed', async () => {
    await writeAll({ a: 'one', b: 'same' });
    await writeAll({ a: 'two', b: { text: 'same', mode: 0o600 } });
    expect([await read('a'), await modeOf('b')]).toEqual(['two', 0o600]);
  });

  test('nothing but the files and the record is left, and the record tells no content', async () => {
    await writeAll({ a: 'secret one', 'd/b': 'secret two' });
    await writeAll({ a: 'secret three', 'd/b': 'secret two' });
    expect((await readdir(home, { recursive: true })).toSorted()).toEqual(
      ['.local', '.local/state', '.local/state/spoonbox', '.local/state/spoonbox/vault', 'a', 'd', 'd/b'].toSorted(),
    );
    expect(await read('.local/state/spoonbox/vault')).not.toContain('secret');
  });

  test('a link that the user made stays, and what it leads to is replaced; so with directories', async () => {
    await mkdir(join(home, 'dotfiles/config'), { recursive: true });
    await edit('dotfiles/bashrc', 'one');
    await symlink('dotfiles/bashrc', join(home, '.bashrc'));
    await symlink('dotfiles/config', join(home, '.config'));
    await writeAll({ '.bashrc': 'one', '.config/git': 'git' });
    await writeAll({ '.bashrc': 'two', '.config/git': 'git' });
    expect(await readlink(join(home, '.bashrc'))).toBe('dotfiles/bashrc');
    expect([await read('dotfiles/bashrc'), await read('dotfiles/config/git')]).toEqual(['two', 'git']);
  });

  test('many files take one run', async () => {
    const files = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`d${at % 7}/f${at}`, `content ${at}`]));
    await writeAll(files);
    expect(await read('d0/f49')).toBe('content 49');
  });

  test('one that cannot be written is told with the reason, and the others are written', async () => {
    await edit('occupied', 'a file, where a directory is needed');
    const { failed, drift } = await write({ 'occupied/by': 'x', other: 'y' });
    expect(drift).toEqual([]);
    expect(failed).toEqual([{ path: 'occupied/by', why: expect.stringMatching(/File exists|Not a directory/) }]);
    expect(await read('other')).toBe('y');
    await rm(join(home, 'occupied'));
    await writeAll({ 'occupied/by': 'x', other: 'y' });
  });

  test.each(['', '2 3 7\nput 7 644', '1 9 7\nput 7 644 aa 9 /a/\nshort'])(
    'an input that breaks off writes nothing: %j',
    async (input) => {
      await writeAll({ a: 'before' });
      expect((await run(Buffer.from(input))).code).not.toBe(0);
      expect(await read('a')).toBe('before');
    },
  );
});

describe('what the user did', () => {
  test('an edited file is left alone and told, also when the vault changes, until both are the same', async () => {
    await writeAll({ a: 'one' });
    await edit('a', 'mine');
    expect((await write({ a: 'two' })).drift).toEqual([{ path: 'a', how: 'edited' }]);
    expect((await write({ a: 'three' })).drift).toEqual([{ path: 'a', how: 'edited' }]);
    expect(await read('a')).toBe('mine');
    await writeAll({ a: 'mine' });
    await writeAll({ a: 'four' });
    expect(await read('a')).toBe('four');
  });

  test('a change of the mode is an edit too', async () => {
    await writeAll({ a: 'one' });
    await chmod(join(home, 'a'), 0o600);
    expect((await write({ a: 'one' })).drift).toEqual([{ path: 'a', how: 'edited' }]);
    expect(await modeOf('a')).toBe(0o600);
  });

  test('a file that was there before is left alone, unless it is the same', async () => {
    await edit('a', 'mine');
    await edit('b', 'same');
    await chmod(join(home, 'b'), 0o644);
    expect((await write({ a: 'one', b: 'same' })).drift).toEqual([{ path: 'a', how: 'foreign' }]);
    await writeAll({ b: 'next' });
    expect([await read('a'), await read('b')]).toEqual(['mine', 'next']);
  });

  test('a file that the user removed does not come back', async () => {
    await writeAll({ a: 'one' });
    await rm(join(home, 'a'));
    expect((await write({ a: 'two' })).drift).toEqual([{ path: 'a', how: 'removed' }]);
    expect(await isThere('a')).toBe(false);
  });

  test('what is no file is left alone: a directory, a link that leads nowhere', async () => {
    await mkdir(join(home, 'a'));
    await symlink('nowhere', join(home, 'b'));
    expect((await write({ a: 'one', b: 'two' })).drift).toEqual([
      { path: 'a', how: 'no-file' },
      { path: 'b', how: 'no-file' },
    ]);
  });

  test('in a home without a record nothing is overwritten', async () => {
    await writeAll({ a: 'one' });
    await rm(join(home, '.local'), { recursive: true });
    expect((await write({ a: 'two' })).drift).toEqual([{ path: 'a', how: 'foreign' }]);
    expect(await read('a')).toBe('one');
  });
});

describe('what is asked of the home', () => {
  test('take: the vault’s file comes in the place of whatever is there, once, and a copy stays beside it', async () => {
    await writeAll({ a: 'one' });
    await edit('a', 'mine');
    const take = asked('take', 'a');
    await writeAll({ a: 'two' }, take);
    expect([await read('a'), await read('a.spoonbox-saved')]).toEqual(['two', 'mine']);
    await edit('a', 'mine again');
    expect((await write({ a: 'two' }, take)).drift).toEqual([{ path: 'a', how: 'edited' }]);
    await writeAll({ a: 'two' }, asked('take', 'a'));
    expect(await read('a.spoonbox-saved.2')).toBe('mine again');
    expect(await read('a.spoonbox-saved')).toBe('mine');
  });

  test('take brings back what was removed, and moves a directory aside', async () => {
    await writeAll({ a: 'one' });
    await rm(join(home, 'a'));
    await writeAll({ a: 'one' }, asked('take', 'a'));
    expect([await read('a'), await isThere('a.spoonbox-saved')]).toEqual(['one', false]);
    await mkdir(join(home, 'd'));
    await edit('d/kept', 'kept');
    await writeAll({ a: 'one', d: 'file' }, asked('take', 'd'));
    expect([await read('d'), await read('d.spoonbox-saved/kept')]).toEqual(['file', 'kept']);
  });

  test('drop: a file that was removed from the vault goes, unless it was edited, or was never written', async () => {
    await edit('theirs', 'mine');
    await write({ a: 'one', b: 'one', theirs: 'one' });
    await edit('b', 'mine');
    const drop = [...asked('drop', 'a'), ...asked('drop', 'b'), ...asked('drop', 'theirs'), ...asked('drop', 'never')];
    await writeAll({}, drop);
    expect(await Promise.all(['a', 'b', 'theirs'].map(isThere))).toEqual([false, true, true]);
    await edit('a', 'one');
    await writeAll({}, drop);
    expect(await isThere('a')).toBe(true);
  });

  test('what is not in the vault any more without anybody asking stays: a vault that was lost takes nothing with it', async () => {
    await writeAll({ a: 'one', b: 'one' });
    await writeAll({ b: 'two' });
    expect([await read('a'), await read('b')]).toEqual(['one', 'two']);
    await writeAll({ a: 'two', b: 'two' });
    expect(await read('a')).toBe('two');
  });

  test('what failed is asked for again, and what did not is not, though it was asked for with it', async () => {
    await writeAll({ a: 'one', same: 'same', gone: 'gone' });
    await edit('a', 'mine');
    await edit('dir', 'a file, where a directory is needed');
    const files = { a: 'two', same: 'same', 'dir/b': 'x' };
    const orders = [...['a', 'same', 'dir/b'].flatMap((path) => asked('take', path)), ...asked('drop', 'gone')];
    expect((await write(files, orders)).failed).toMatchObject([{ path: 'dir/b' }]);
    expect(await Promise.all(['a', 'a.spoonbox-saved', 'gone'].map(isThere))).toEqual([true, true, false]);
    for (const path of ['a', 'same', 'gone']) await edit(path, 'mine again');
    const edited = ['a', 'same'].map((path) => ({ path, how: 'edited' }));
    expect(await write(files, orders)).toMatchObject({ drift: edited, failed: [{ path: 'dir/b' }] });
    await rm(join(home, 'dir'));
    expect(await write(files, orders)).toMatchObject({ drift: edited, failed: [] });
    expect(await Promise.all(['a', 'same', 'gone', 'dir/b'].map(read))).toEqual([...Array(3).fill('mine again'), 'x']);
    await write(files, asked('take', 'a'));
    expect(await read('a')).toBe('two');
    expect(await read('.local/state/spoonbox/vault')).not.toMatch(/^done/m);
  });
});

describe('a death on the way', () => {
  test.each([
    ['before the file was renamed', 'one'],
    ['after it', 'two'],
  ])('%s: the next run goes on, and takes nothing for an edit', async (_when, text) => {
    await writeAll({ a: 'one' });
    // As the run leaves it that dies between what it is about to do and the end.
    const vault = vaultOf({ a: 'two' });
    const line = vaultInput(vault).toString().split('\n')[1]?.split(' ') ?? [];
    await writeFile(join(home, '.local/state/spoonbox/vault'), `try 644 ${line[3]} /a/\n`, { flag: 'a' });
    await edit('a', text);
    await writeAll({ a: 'three' });
    expect(await read('a')).toBe('three');
  });

  test('before a new file was there: it is written, and is not taken for one that the user removed', async () => {
    await mkdir(join(home, '.local/state/spoonbox/in'), { recursive: true });
    await writeFile(join(home, '.local/state/spoonbox/vault'), `spoonbox 1 0\ntry 644 ${'a'.repeat(64)} /a/\n`);
    await writeAll({ a: 'one' });
    expect(await read('a')).toBe('one');
  });

  test.each([
    ['is gone', '999999999', new Date()],
    ['is another process by now, long after any writer was ended', `${process.pid}`, new Date(Date.now() - 60_000)],
  ])('a lock whose holder %s is taken over', async (_what, pid, at) => {
    await mkdir('/tmp/.spoonbox-vault', { recursive: true });
    await writeFile('/tmp/.spoonbox-vault/pid', `${pid}\n`);
    await utimes('/tmp/.spoonbox-vault/pid', at, at);
    await writeAll({ a: 'one' });
    expect(await isThere('a')).toBe(true);
  });
});

describe('an answer', () => {
  const vault = { revision: 1, files: [{ path: 'a', mode: 0o644, content: Buffer.from('') }], orders: [] };
  test.each(['', 'done', 'edited\ta\n', 'edited\tb\ndone\n', 'done\ndone\n\n', 'odd\ta\ndone\n', 'failed\ta\ndone\n'])(
    'that does not come to its end, or speaks of something else, is none: %j',
    (answer) => expect(writtenOf(answer, vault)).toBeNull(),
  );
});
