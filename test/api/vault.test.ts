import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createVaultKeys } from '#shared/vault-seal.ts';
import { DotfileList, VaultImported, VaultRotated, VaultView } from '#shared/vault-schemas.ts';
import { maxFileBytes, maxVariableBytes } from '#shared/vault.ts';
import { Problem } from '#shared/problem.ts';
import { type Answer, type ApiWorld, createApiWorld, token, vaultKey } from './api-world.ts';

const secretText = 'hunter2-which-nobody-may-see';
const keyId = createVaultKeys(vaultKey).keyId;

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(() => world.close());

let users = 0;
/** Each test has a user of its own. */
function newUser(): { user: string; at: (path: string) => string } {
  users += 1;
  const user = `user${users}`;
  return { user, at: (path) => `/v1/users/${user}/${path}` };
}

function codeOf({ json }: Answer): string {
  return Problem.safeParse(json).data?.code ?? 'no problem';
}

async function put(path: string, body: object, headers: Record<string, string> = {}): Promise<Answer> {
  return await world.ask('PUT', path, { body, headers });
}

/** Of another process. */
async function askAt(
  url: string,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; json: unknown }> {
  const response = await fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  });
  return { status: response.status, json: await response.json() };
}

describe('a dotfile', () => {
  test('is put, listed without what is in it, told to an admin, and removed', async () => {
    const { at } = newUser();
    const path = at('dotfiles/.config%2Fgit%2Fconfig');
    expect((await put(path, { content: secretText, mode: '0600' })).status).toBe(200);
    await put(at('dotfiles/.binary'), { content: '/wD+', encoding: 'base64' });
    const list = await world.ask('GET', at('dotfiles'));
    const known = { keyId, opens: true };
    expect(list.json).toMatchObject({
      items: [
        { path: '.binary', mode: '0644', bytes: 3, ...known },
        { path: '.config/git/config', mode: '0600', bytes: secretText.length, ...known },
      ],
    });
    expect(list.text).not.toContain(secretText);
    const told = await world.ask('GET', path);
    expect(told.json).toMatchObject({
      path: '.config/git/config',
      mode: '0600',
      encoding: 'utf8',
      content: secretText,
    });
    expect(told.headers.get('cache-control')).toBe('no-store');
    const binary = await world.ask('GET', at('dotfiles/.binary'));
    expect(binary.json).toMatchObject({ encoding: 'base64', content: '/wD+' });
    expect((await world.ask('DELETE', path)).status).toBe(200);
    expect(codeOf(await world.ask('GET', path))).toBe('vault-entry-unknown');
    expect(codeOf(await world.ask('DELETE', path))).toBe('vault-entry-unknown');
  });

  test('of a path that leads out of the home, or is none, is refused', async () => {
    const { at } = newUser();
    for (const path of [
      'a/../../b',
      '/etc/passwd',
      '~/x',
      'a//b',
      './a',
      'a/.',
      'a\nb',
      'a\u0000b',
      'a/',
      '.local/state/spoonbox',
      '.local/state/spoonbox/vault',
      'é'.repeat(128),
    ]) {
      const answer = await put(at(`dotfiles/${encodeURIComponent(path)}`), { content: '' });
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 400, 'request-invalid']);
    }
    expect(DotfileList.parse((await world.ask('GET', at('dotfiles'))).json).items).toEqual([]);
  });

  test('may be as large as the limit, and no larger', async () => {
    const { at } = newUser();
    const whole = Buffer.alloc(maxFileBytes, 0xff).toString('base64');
    expect((await put(at('dotfiles/a'), { content: whole, encoding: 'base64' })).status).toBe(200);
    const more = Buffer.alloc(maxFileBytes + 1, 0xff).toString('base64');
    const answer = await put(at('dotfiles/b'), { content: more, encoding: 'base64' });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'request-invalid']);
    expect(answer.text).toContain(String(maxFileBytes));
    expect((await put(at('dotfiles/c'), { content: '\u0001'.repeat(maxFileBytes) })).status).toBe(200);
    const huge = await put(at('dotfiles/b'), { content: 'x'.repeat(7 * maxFileBytes) });
    expect([huge.status, codeOf(huge)]).toEqual([413, 'body-too-large']);
    expect(huge.text).toContain('1537 KiB');
  });

  test('where another one needs a directory is refused', async () => {
    const { at } = newUser();
    await put(at('dotfiles/.config'), { content: '' });
    expect(codeOf(await put(at('dotfiles/.config%2Fgit'), { content: '' }))).toBe('vault-path-conflict');
  });

  test('of a mode or an encoding that is none is refused', async () => {
    const { at } = newUser();
    for (const body of [
      { content: '', mode: '4755' },
      { content: '', mode: '888' },
      { content: '', mode: 420 },
      { content: 'no base64!', encoding: 'base64' },
      { content: '', encoding: 'hex' },
      { mode: '0644' },
    ]) {
      expect(codeOf(await put(at('dotfiles/a'), body))).toBe('request-invalid');
    }
  });
});

describe('a variable', () => {
  test('is put, listed without its value, told to an admin, and removed', async () => {
    const { at } = newUser();
    expect((await put(at('environment/API_KEY'), { value: secretText })).status).toBe(200);
    const list = await world.ask('GET', at('environment'));
    expect(list.json).toMatchObject({ items: [{ name: 'API_KEY', bytes: secretText.length, keyId, opens: true }] });
    expect(list.text).not.toContain(secretText);
    expect((await world.ask('GET', at('environment/API_KEY'))).json).toMatchObject({ value: secretText });
    expect((await world.ask('DELETE', at('environment/API_KEY'))).json).toEqual({ revision: 0 });
    expect(codeOf(await world.ask('GET', at('environment/API_KEY')))).toBe('vault-entry-unknown');
  });

  test('that the box sets by itself, or of a name that is none, is refused; PATH is not', async () => {
    const { at } = newUser();
    for (const name of ['HOME', 'USER', 'LOGNAME', 'SPOONBOX_SESSION', '1A', 'A-B', 'A%20B', '__proto__']) {
      expect([name, codeOf(await put(at(`environment/${name}`), { value: '' }))]).toEqual([name, 'request-invalid']);
    }
    expect((await put(at('environment/PATH'), { value: '/opt/bin:/usr/bin' })).status).toBe(200);
  });

  test('whose value holds what no environment can is refused', async () => {
    const { at } = newUser();
    for (const value of ['a\u0000b', 'x'.repeat(maxVariableBytes + 1), 7, null]) {
      expect(codeOf(await put(at('environment/A'), { value }))).toBe('request-invalid');
    }
    expect((await put(at('environment/A'), { value: '\u0001'.repeat(maxVariableBytes) })).status).toBe(200);
  });
});

test('ETags: what is not changed is not sent again, and a change says of which vault it was thought', async () => {
  const { at } = newUser();
  const none = await world.ask('GET', at('dotfiles'));
  expect(none.headers.get('etag')).toBe('"0"');
  const first = await put(at('dotfiles/a'), { content: '1' }, { 'if-match': '"0"' });
  const etag = first.headers.get('etag') ?? '';
  for (const path of ['dotfiles', 'environment']) {
    const same = await world.ask('GET', at(path), { headers: { 'if-none-match': etag } });
    expect([same.status, same.text]).toEqual([304, '']);
  }
  const late = await put(at('environment/A'), { value: '1' }, { 'if-match': '"0"' });
  expect([late.status, codeOf(late)]).toEqual([412, 'precondition-failed']);
  expect((await put(at('environment/A'), { value: '1' }, { 'if-match': etag })).status).toBe(200);
  for (const [method, path, body] of [
    ['DELETE', 'dotfiles/a', undefined],
    ['DELETE', 'environment/A', undefined],
    ['PUT', 'vault', { replace: true }],
  ] as const) {
    expect(codeOf(await world.ask(method, at(path), { body, headers: { 'if-match': etag } }))).toBe(
      'precondition-failed',
    );
  }
  expect(codeOf(await put(at('dotfiles/a'), { content: '' }, { 'if-match': 'no-tag' }))).toBe('request-invalid');
});

describe('a whole vault', () => {
  test('is answered as it can be put again', async () => {
    const [one, other] = [newUser(), newUser()];
    await put(one.at('dotfiles/a%2Fb'), { content: 'x', mode: '0755' });
    await put(one.at('environment/A'), { value: '1' });
    const vault = VaultView.parse((await world.ask('GET', one.at('vault'))).json);
    expect((await put(other.at('vault'), vault)).json).toMatchObject({ added: ['a/b', '$A'], refused: [] });
    const again = VaultView.parse((await world.ask('GET', other.at('vault'))).json);
    expect({ ...again, revision: 0 }).toEqual({ ...vault, revision: 0 });
  });

  test('is imported in one step: what is refused is named, the rest goes on', async () => {
    const { at } = newUser();
    await put(at('environment/OLD'), { value: '1' });
    const body = {
      dotfiles: [
        { path: '.bashrc', content: 'alias ll="ls -l"', mode: '644' },
        { path: '../evil', content: 'x' },
        { path: '/etc/passwd', content: 'x' },
        { path: 'large', content: 'x'.repeat(maxFileBytes + 1) },
        { path: 'broken', content: '%%%', encoding: 'base64' },
      ],
      environment: { EDITOR: 'vim', HOME: '/root', 'A-B': '1' },
    };
    const dry = VaultImported.parse((await put(at('vault'), { ...body, replace: true, dryRun: true })).json);
    expect(dry).toMatchObject({ added: ['.bashrc', '$EDITOR'], removed: ['$OLD'] });
    expect(dry.refused.map(({ entry }) => entry)).toEqual([
      '../evil',
      '/etc/passwd',
      'large',
      'broken',
      '$HOME',
      '$A-B',
    ]);
    expect(dry.refused.every(({ why }) => why.length > 5)).toBe(true);
    expect(DotfileList.parse((await world.ask('GET', at('dotfiles'))).json).items).toEqual([]);
    expect((await put(at('vault'), body)).json).toMatchObject({ added: ['.bashrc', '$EDITOR'], removed: [] });
    expect((await put(at('vault'), body)).json).toMatchObject({ added: [], same: ['.bashrc', '$EDITOR'] });
    const vault = VaultView.parse((await world.ask('GET', at('vault'))).json);
    expect(vault.environment).toEqual({ EDITOR: 'vim', OLD: '1' });
    expect(vault.dotfiles).toEqual([{ path: '.bashrc', mode: '0644', encoding: 'utf8', content: 'alias ll="ls -l"' }]);
  });

  test('too large for a vault is refused whole', async () => {
    const { at } = newUser();
    const dotfiles = Array.from({ length: 201 }, (_, index) => ({ path: `f${index}`, content: '' }));
    const answer = await put(at('vault'), { dotfiles });
    expect([answer.status, codeOf(answer)]).toEqual([409, 'vault-full']);
  });

  test('comes from an export of Spoon’s tables, whichever of the names a row has', async () => {
    const { user, at } = newUser();
    const body = {
      userDotfiles: [
        { _id: 'k1', _creationTime: 1, username: user, path: '~/.bashrc', content: 'alias x=y', mode: 0o600 },
        { _id: 'k2', username: 'somebody-else', path: '.bashrc', content: 'theirs' },
        { _id: 'k3', username: user, filename: '.vimrc', body: 'set nu', mode: '0640' },
        { _id: 'k4', username: user, path: '.netrc', ciphertext: 'AAAA', iv: 'BBBB' },
        { _id: 'k5', username: user, what: 'ever' },
      ],
      userEnvironment: [
        { username: user, key: 'EDITOR', value: 'vim' },
        { username: user, name: 'TOKEN', encryptedValue: 'AAAA' },
      ],
    };
    const answer = VaultImported.parse((await put(at('vault'), body)).json);
    expect(answer.added).toEqual(['.bashrc', '.vimrc', '$EDITOR']);
    expect(answer.refused.map(({ entry, why }) => `${entry}: ${why}`)).toEqual([
      expect.stringMatching(/^\.netrc: .*encrypted by Spoon/),
      expect.stringMatching(/^userDotfiles\[4\]: it has no path .* and no content/),
      expect.stringMatching(/^\$TOKEN: .*encrypted by Spoon/),
    ]);
    const vault = VaultView.parse((await world.ask('GET', at('vault'))).json);
    expect(vault.dotfiles.map(({ path, mode, content }) => [path, mode, content])).toEqual([
      ['.bashrc', '0600', 'alias x=y'],
      ['.vimrc', '0640', 'set nu'],
    ]);
  });

  test('is not taken from tables of several users, none of whom is meant', async () => {
    const { at } = newUser();
    const rows = ['ann', 'bob'].map((userId) => ({ userId, path: `.of-${userId}`, content: '' }));
    const unclear = await put(at('vault'), { userDotfiles: rows });
    expect([unclear.status, codeOf(unclear)]).toEqual([400, 'request-invalid']);
    const wrong = await put(at('vault'), { userDotfiles: rows, owner: 'carl' });
    expect(codeOf(wrong)).toBe('request-invalid');
    expect((await put(at('vault'), { userDotfiles: rows, owner: 'bob' })).json).toMatchObject({ added: ['.of-bob'] });
  });

  test('takes nobody else’s rows, whatever an owner is written as, and none that names nobody among several', async () => {
    const { at } = newUser();
    for (const [mine, other] of [
      [17, 18],
      [{ id: 1 }, { id: 2 }],
    ]) {
      const rows = [mine, other].map((userId, index) => ({ userId, path: `.of-${index}`, content: '' }));
      expect(codeOf(await put(at('vault'), { userDotfiles: rows }))).toBe('request-invalid');
    }
    const userDotfiles = [17, 18, null].map((userId) => ({ userId, path: `.of-${userId}`, content: '' }));
    const answer = await put(at('vault'), { userDotfiles, userEnvironment: { A: '1' }, owner: '17' });
    const { added, refused } = VaultImported.parse(answer.json);
    expect(added).toEqual(['.of-17']);
    expect(refused).toEqual(['.of-null', '$A'].map((entry) => ({ entry, why: 'it does not say whose it is' })));
  });

  test('takes a row that says that it is not encrypted', async () => {
    const { at } = newUser();
    const userDotfiles = [false, 0, ''].map((encrypted, index) => ({ path: `.f${index}`, content: '', encrypted }));
    expect((await put(at('vault'), { userDotfiles })).json).toMatchObject({ added: ['.f0', '.f1', '.f2'] });
  });
});

describe('keys', () => {
  test('without one, nothing is put or told, and what to do is said; lists and removals go on', async () => {
    const { at } = newUser();
    await put(at('environment/A'), { value: secretText });
    const other = await world.another({ vaultSecrets: null });
    for (const [method, path, body] of [
      ['PUT', at('dotfiles/a'), { content: '' }],
      ['PUT', at('environment/B'), { value: '' }],
      ['PUT', at('vault'), { environment: { B: '' } }],
      ['GET', at('environment/A'), undefined],
      ['GET', at('vault'), undefined],
      ['POST', '/v1/vault/rotate', undefined],
    ] as const) {
      const { status, json } = await askAt(other.url, method, path, body);
      expect([method, path, status]).toEqual([method, path, 503]);
      expect(json).toMatchObject({ code: 'vault-no-key', detail: expect.stringContaining('SPOON_ENCRYPTION_KEY') });
    }
    expect(await askAt(other.url, 'GET', at('environment'))).toMatchObject({
      status: 200,
      json: { items: [{ name: 'A', bytes: null, opens: false }] },
    });
    expect((await askAt(other.url, 'DELETE', at('environment/A'))).status).toBe(200);
    await other.close();
  });

  test('a rotation goes part by part over all users, and tells what stays closed', async () => {
    const [one, two] = [newUser(), newUser()];
    const stranger = await world.another({ vaultSecrets: { current: 'the key of a stranger', previous: [] } });
    await askAt(stranger.url, 'PUT', two.at('environment/THEIRS'), { value: 'x' });
    await put(one.at('environment/A'), { value: '1' });
    await put(two.at('environment/B'), { value: '2' });
    const wrong = await world.ask('GET', two.at('environment/THEIRS'));
    expect([wrong.status, codeOf(wrong)]).toEqual([503, 'vault-key-missing']);
    const next = await world.another({
      vaultSecrets: { current: 'the next key of all', previous: [vaultKey.current] },
    });
    const rotated = VaultRotated.parse((await askAt(next.url, 'POST', '/v1/vault/rotate')).json);
    expect(rotated.continue).toBeNull();
    expect(rotated.users.left).toBe(0);
    expect(rotated.entries.resealed).toBeGreaterThanOrEqual(2);
    expect(rotated.unreadable).toMatchObject([{ user: two.user, entry: 'the variable THEIRS' }]);
    expect(VaultRotated.parse((await askAt(next.url, 'POST', '/v1/vault/rotate')).json).entries).toMatchObject({
      resealed: 0,
    });
    expect((await askAt(next.url, 'GET', one.at('environment/A'))).json).toMatchObject({ value: '1' });
    expect(codeOf(await world.ask('GET', one.at('environment/A')))).toBe('vault-key-missing');
    // Back again: what follows has the key of before.
    const back = await world.another({ vaultSecrets: { ...vaultKey, previous: ['the next key of all'] } });
    await askAt(back.url, 'POST', '/v1/vault/rotate');
    expect(codeOf(await world.ask('POST', '/v1/vault/rotate?continue=nowhere'))).toBe('continue-invalid');
    for (const each of [stranger, next, back]) await each.close();
  });
});

test('a user who is deleted keeps the vault', async () => {
  const { user, at } = newUser();
  await put(at('environment/A'), { value: '1' });
  await world.ask('PUT', `/v1/boxes/${user}/leases/j1`, { body: { kind: 'job', holder: 'a', ttlMs: 60_000 } });
  await world.ask('DELETE', `/v1/boxes/${user}/leases/j1`);
  expect((await world.ask('DELETE', `/v1/boxes/${user}`)).status).toBe(202);
  await world.forget(user);
  expect(codeOf(await world.ask('GET', `/v1/boxes/${user}`))).toBe('box-unknown');
  expect((await world.ask('GET', at('environment/A'))).json).toMatchObject({ value: '1' });
});

test('nothing of a value is in any log line, event, metric, list, problem, or readable in Redis', async () => {
  const { user, at } = newUser();
  const answers = [
    await put(at('dotfiles/.netrc'), { content: secretText }),
    await put(at('environment/TOKEN'), { value: secretText }),
    await put(at('environment/TOKEN'), { value: `${secretText}\u0000` }),
    await put(at('environment/TOKEN'), { valeu: secretText, value: 7 }),
    await put(at('dotfiles/a'), { content: secretText, encoding: 'base64' }),
    await put(at('dotfiles/a'), { content: secretText, mode: secretText }),
    await put(at('vault'), { dotfiles: [{ path: '../x', content: secretText }], environment: { HOME: secretText } }),
    await put(at('vault'), { dotfiles: [{ path: 'x', content: secretText, encoding: secretText }] }),
    await put(at('vault'), { dotfiles: [{ path: 'x', content: secretText, extra: secretText }] }),
    await put(at('vault'), { userEnvironment: [{ name: 'X', value: [secretText] }], environment: secretText }),
    await world.ask('PUT', at('vault'), { raw: `{"environment":{"A":"${secretText}"` }),
    await world.ask('PUT', at('vault'), { raw: `{"__proto__":{"A":"${secretText}"}}` }),
    await world.ask('GET', at('dotfiles')),
    await world.ask('GET', at('environment')),
    await world.ask('GET', `/v1/boxes/${user}/events`),
    await world.ask('GET', '/v1/events'),
    await world.ask('GET', '/metrics'),
    await world.ask('GET', `/v1/boxes/${user}`),
    await world.ask('GET', '/v1/boxes'),
  ];
  expect(answers.slice(0, 2).map(({ status }) => status)).toEqual([200, 200]);
  for (const { text } of answers) expect(text).not.toContain(secretText);
  expect((await world.ask('GET', at('environment/TOKEN'))).text).toContain(secretText);
  expect(world.logged.join('')).not.toContain(secretText);
  expect(await world.dump()).not.toMatch(new RegExp(`${secretText}|${Buffer.from(secretText).toString('base64url')}`));
});
