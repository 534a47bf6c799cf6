import { spawnSync } from 'node:child_process';
import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Checkout, CloneUrl, directoryIn, GitRef, pathOf } from '#shared/checkout.ts';
import { signTerminalToken, verifyTerminalToken } from '#shared/terminal-token.ts';
import { alice } from '../support/box-facts.ts';

/** What paths, shells and git mind, and what they do not. */
const piece = fc.constantFrom(
  ...['a', 'B', '0', '.', '..', '/', '//', '-', '--', ' ', '@', '@{', '{', '~', '^', ':', '?', '*', '[', '\\', '.lock'],
  ...[
    'lock',
    'HEAD',
    '\n',
    '\t',
    '\0',
    '\u007f',
    '\u0085',
    'ü',
    '日本',
    '😀',
    '\ud800',
    '$(x)',
    '`',
    "'",
    '"',
    ';',
    '.git',
  ],
);
const name = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));

const longest = 'ü'.repeat(127);

describe('the directory of a checkout', () => {
  test('is two names or more below Code, whatever the names are', () => {
    fc.assert(
      fc.property(name, name, (spoon, branch) => {
        const parsed = Checkout.safeParse({ spoon, branch });
        if (!parsed.success) return;
        const path = pathOf(parsed.data);
        expect(posix.normalize(path)).toBe(path);
        expect(path.split('/').slice(0, 2)).toEqual(['Code', spoon]);
        expect(path.split('/').slice(2).join('/')).toBe(branch);
        for (const part of path.split('/')) {
          expect(['', '.', '..']).not.toContain(part);
          expect(Buffer.byteLength(part)).toBeLessThanOrEqual(255);
        }
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(path).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        expect(Buffer.from(path).toString()).toBe(path);
      }),
      { numRuns: 3_000 },
    );
  });

  test.each([
    ['shop', 'feature/a.b c'],
    ['My shop', '-x'],
    ['größe', 'ü/日本語'],
    ['-rf', '--help'],
    [longest, `${longest}/${longest}`],
  ])('may be that of %j on %j', (spoon, branch) => {
    expect(Checkout.safeParse({ spoon, branch })).toMatchObject({ success: true });
  });

  test.each([
    ['', 'main', 'spoon'],
    ['..', 'main', 'spoon'],
    ['.hidden', 'main', 'spoon'],
    ['a/b', 'main', 'spoon'],
    ['a\nb', 'main', 'spoon'],
    [`${longest}üx`, 'main', 'spoon'],
    ['shop', '../../etc', 'branch'],
    ['shop', 'a/../../..', 'branch'],
    ['shop', '/etc', 'branch'],
    ['shop', 'a/', 'branch'],
    ['shop', 'a//b', 'branch'],
    ['shop', '.spoonbox-clone-1', 'branch'],
    ['shop', 'a/.git', 'branch'],
    ['shop', 'x.lock/y', 'branch'],
    ['shop', 'a\u001b[2J', 'branch'],
    ['shop', '\ud800', 'branch'],
    ['shop', `${longest}/${longest}/xyz`, 'branch'],
  ])('is never that of %j on %j', (spoon, branch, at) => {
    const { error } = Checkout.safeParse({ spoon, branch });
    expect(error?.issues[0]?.path).toEqual([at]);
  });

  test('has what is named below it', () => {
    expect(directoryIn({ spoon: 's', branch: 'b' }, 'x/y')).toBe('Code/s/b/x/y');
    expect([directoryIn({ spoon: 's', branch: 'b' }, null), directoryIn(null, 'x'), directoryIn(null, null)]).toEqual([
      ...['Code/s/b', 'x', null],
    ]);
  });
});

test('what can be cloned is exactly what git takes for a branch', () => {
  const sample = fc.sample(name, 400).filter((text) => text.isWellFormed() && !text.includes('\0') && text !== '');
  // What git takes and we do not: control characters of Latin-1's upper half, and `@`, which it reads as HEAD.
  const asked = [
    ...sample.filter((text) => !text.includes('\u0085') && text !== '@'),
    'main',
    'feature/a',
    'ü',
    '-x',
    'a b',
    'HEAD',
  ];
  const script = 'for n; do git check-ref-format --branch "$n" >/dev/null 2>&1 && echo 1 || echo 0; done';
  // Outside of a repository, where `@{-1}` is no branch that was left.
  const told = spawnSync('sh', ['-c', script, 'sh', ...asked], { cwd: '/', encoding: 'utf8' });
  const byGit = told.stdout
    .trim()
    .split('\n')
    .map((answer) => answer === '1');
  const differ = asked.filter((text, i) => GitRef.safeParse(text).success !== byGit[i]);
  expect(byGit).toHaveLength(asked.length);
  expect(byGit.filter(Boolean).length).toBeGreaterThan(20);
  expect(differ).toEqual([]);
});

describe('a clone', () => {
  const clone = (more: object): Checkout | string => {
    const parsed = Checkout.safeParse({ spoon: 's', branch: 'a b', ...more });
    return parsed.success
      ? parsed.data
      : `${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`;
  };
  const url = 'https://git.example.org/shop.git';

  test.each([
    url,
    'http://gitea:3000/a/b',
    'ssh://git@host:2222/a.git',
    'git@github.com:a/b.git',
    'git://host/x',
    'https://[::1]:8443/x',
  ])('may be of %s', (address) => {
    expect(CloneUrl.safeParse(address).success).toBe(true);
  });

  test.each([
    ...['', 'shop.git', '/home/spoon/shop.git', './shop', 'file:///home/spoon/shop.git', 'ext::sh -c id', 'ftp://h/x'],
    ...['--upload-pack=id', '-x@host:y', 'git@-oProxyCommand=id:x', 'ssh://-oProxyCommand=id/x', 'http://', 'a@b:-x'],
    ...['https://u:secret@host/x', 'https://token@host/x', 'ssh://u:p@host/x', 'https://host/a b', 'https://h/\u001b'],
  ])('is never of %s', (address) => {
    expect(CloneUrl.safeParse(address).success).toBe(false);
  });

  test('needs a ref that git takes, and sends a credential over https only', () => {
    expect(clone({ clone: { url } })).toMatch(/^branch: cannot be cloned/);
    expect(clone({ clone: { url, ref: 'main' } })).toMatchObject({ clone: { ref: 'main' } });
    expect(clone({ clone: { url, ref: '-x' } })).toMatch(/^clone\.ref: /);
    expect(clone({ clone: { url, ref: 'main', credential: 'TOKEN' } })).toMatchObject({
      clone: { credential: 'TOKEN' },
    });
    expect(clone({ clone: { url: 'http://h/x', ref: 'main', credential: 'TOKEN' } })).toMatch(/^clone\.credential: /);
    expect(clone({ clone: { url, ref: 'main', credential: 'a-b' } })).toMatch(/^clone\.credential: /);
    expect(clone({ clone: { url, ref: 'main', depth: -1 } })).toMatch(/^clone\.depth: /);
  });
});

test('a terminal token carries a checkout whole, or is refused', async () => {
  const secret = 'a-long-random-secret-of-the-tests';
  const checkout = { spoon: 'shop', branch: 'fix/tax', clone: { url: 'https://h/x', depth: 0 } };
  const { token } = await signTerminalToken(secret, { user: alice, mode: 'rw', checkout });
  expect(await verifyTerminalToken(secret, token)).toMatchObject({ ok: true, claims: checkout });
  const half = { spoon: 'shop' } as Checkout;
  await expect(signTerminalToken(secret, { user: alice, mode: 'rw', checkout: half })).rejects.toThrow(/branch/);
  const large = { spoon: '語'.repeat(80), branch: Array.from({ length: 2 }, () => '語'.repeat(80)).join('/') };
  const directory = '語'.repeat(1_000);
  await expect(signTerminalToken(secret, { user: alice, mode: 'rw', checkout: large, directory })).rejects.toThrow(
    /4096 characters at most/,
  );
});
