import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pack, type Pack } from 'tar-fs';
import { copyFrom } from '../../controller/cli/copy/copy-from.ts';
import { type Spoonbox, spoonboxAt } from '../../controller/sdk/connect.ts';
import { CommandLost } from '../../controller/sdk/errors.ts';

/** `cp` out of a box in which somebody has put another sh and another tar: what may come, and what becomes of it. */

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spoonbox-cp-test-'));
  await writeFile(join(folder, '.bashrc'), 'mine');
});
afterEach(() => rm(folder, { recursive: true }));

type Entry = Parameters<Pack['entry']>[0] & { readonly content?: Buffer | string };

/** What a box sends. It goes on while it is read, as a command does. */
function streamOf(entries: readonly Entry[]): Readable {
  return pack('.', {
    entries: [],
    finalize: false,
    finish(stream) {
      const next = (at: number): void => {
        const entry = entries[at];
        if (entry === undefined) stream.finalize();
        else stream.entry(entry, entry.content ?? '', () => next(at + 1));
      };
      next(0);
    },
  });
}

/** An installation whose boxes send that, and exit as a command does that nobody reads any more. */
function sending(entries: readonly Entry[]): Spoonbox {
  const spoonbox = spoonboxAt({ server: 'http://127.0.0.1:1', token: 'token', gateway: null });
  return {
    ...spoonbox,
    async exec(_user, _command, { stdout } = {}) {
      const out = stdout ?? new Writable();
      const onward = new Writable({
        write: (chunk, _encoding, done) => {
          if (out.write(chunk)) done();
          else out.once('drain', done);
        },
      });
      const gone = new Promise<never>((_resolve, reject) => {
        out.once('close', () => reject(new CommandLost('its output cannot be written', 'StreamFailed')));
      });
      await Promise.race([pipeline(streamOf(entries), onward), gone]);
      return { exitCode: 0, stdout: '', stderr: '' };
    },
  };
}

async function copy(
  entries: readonly Entry[],
  of: { path: string; recursive?: boolean; file?: string },
): Promise<void> {
  const { path, recursive = false, file = folder } = of;
  await copyFrom(sending(entries), { user: 'alice', path, file, recursive }, () => {}, new AbortController().signal);
}

const only = async (...names: string[]): Promise<void> => {
  expect((await readdir(folder)).sort()).toEqual(['.bashrc', ...names]);
  expect(await readFile(join(folder, '.bashrc'), 'utf8')).toBe('mine');
};

test('the name is that which was asked for, whatever the box calls it', async () => {
  await copy([{ name: './.bashrc', content: 'theirs' }], { path: 'Code/build.log' });
  await only('build.log');
  expect(await readFile(join(folder, 'build.log'), 'utf8')).toBe('theirs');
});

test.each<[string, { path: string; recursive?: boolean }, Entry[]]>([
  ['a folder instead of a file', { path: 'a' }, [{ name: './', type: 'directory' }, { name: './.bashrc' }]],
  ['a link instead of a file', { path: 'a' }, [{ name: './a', type: 'symlink', linkname: '.bashrc' }]],
  ['two files', { path: 'a', recursive: true }, [{ name: './a' }, { name: './.bashrc' }]],
  ['a file in a folder without the folder', { path: 'a' }, [{ name: './.ssh/authorized_keys' }]],
  ['a way out', { path: 'a', recursive: true }, [{ name: './', type: 'directory' }, { name: '../.bashrc' }]],
  [
    'a way out by a link',
    { path: 'a', recursive: true },
    [
      { name: './', type: 'directory' },
      { name: './up', type: 'symlink', linkname: '..' },
      { name: './up/.bashrc', content: 'theirs' },
    ],
  ],
  ['a hard link to what is here', { path: 'a' }, [{ name: './a', type: 'link', linkname: '../.bashrc' }]],
  ['a device', { path: 'a' }, [{ name: './a', type: 'character-device', devmajor: 1, devminor: 3 }]],
  ['nothing', { path: 'a' }, []],
])('%s is refused, and nothing is left of it', async (_what, of, entries) => {
  await expect(copy(entries, of)).rejects.toThrow(/refused|sent/);
  await only();
});

test('what is refused while much more is on its way ends the copy, and says what was refused', async () => {
  const entries: Entry[] = [
    { name: './', type: 'directory' },
    { name: './passwd', type: 'symlink', linkname: '/etc/passwd' },
    ...Array.from({ length: 20 }, (_, at): Entry => ({ name: `./${at}`, content: randomBytes(100_000) })),
  ];
  await expect(copy(entries, { path: 'a', recursive: true })).rejects.toThrow(/is refused: .*not a valid symlink/);
  await only();
});

test('modes are kept, of a private file and of a private folder, but for those that make programs powerful', async () => {
  const entries: Entry[] = [
    { name: './', type: 'directory', mode: 0o700 },
    { name: './key', mode: 0o600, content: 'secret' },
    { name: './sudo', mode: 0o4755 },
  ];
  await copy(entries, { path: 'keys', recursive: true });
  const modes = await Promise.all(['keys', 'keys/key', 'keys/sudo'].map((name) => stat(join(folder, name))));
  expect(modes.map(({ mode }) => (mode & 0o7777).toString(8))).toEqual(['700', '600', '755']);
});

test('a folder is put together with the one that is there, and follows no link that is there', async () => {
  await mkdir(join(folder, 'src/inside'), { recursive: true });
  await writeFile(join(folder, 'src/old'), 'old');
  await writeFile(join(folder, 'src/inside/own'), 'own');
  await symlink(folder, join(folder, 'src/link'));
  const entries: Entry[] = [
    { name: './', type: 'directory' },
    { name: './old', content: 'new' },
    { name: './inside', type: 'directory' },
    { name: './inside/more', content: 'more' },
  ];
  await copy(entries, { path: 'src', recursive: true });
  await copy(entries, { path: 'src', recursive: true });
  expect(await readFile(join(folder, 'src/old'), 'utf8')).toBe('new');
  expect((await readdir(join(folder, 'src/inside'))).sort()).toEqual(['more', 'own']);
  const through: Entry[] = [
    { name: './', type: 'directory' },
    { name: './old', content: 'newer' },
    { name: './link', type: 'directory' },
    { name: './link/.bashrc', content: 'theirs' },
  ];
  await expect(copy(through, { path: 'src', recursive: true })).rejects.toThrow('src/link is no folder');
  expect(await readFile(join(folder, 'src/old'), 'utf8')).toBe('new');
  await only('src');
});

test.each(['', '.', '..', 'Code/..', '/'])('"%s" has no name: nothing is guessed', async (path) => {
  await expect(copy([{ name: './', type: 'directory' }], { path, recursive: true })).rejects.toThrow(/name/);
  await only();
});

test('what has no name goes to a new folder that is named', async () => {
  const entries: Entry[] = [
    { name: './', type: 'directory' },
    { name: './f', content: 'f' },
  ];
  await copy(entries, { path: '', recursive: true, file: join(folder, 'home') });
  expect(await readdir(join(folder, 'home'))).toEqual(['f']);
  await expect(copy([{ name: './f' }], { path: 'f', file: join(folder, 'new/') })).rejects.toThrow('is no folder');
});
