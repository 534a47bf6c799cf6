import { afterAll, beforeAll, expect, test } from 'vitest';
import { BackupHeader, BackupPart, type BackupRecord, RestoreReply, type UserRecord } from '#shared/backup.ts';
import { createVaultKeys } from '#shared/vault-seal.ts';
import { Problem } from '#shared/problem.ts';
import { type ApiWorld, createApiWorld, token, vaultKey } from './api-world.ts';

const users = ['alice', 'bob', 'carol', 'dave', 'erin'];
/** So large that two users fill a part. */
const content = 'x'.repeat(250_000);
const { keyId } = createVaultKeys(vaultKey);

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
  for (const user of users) {
    for (const path of ['a', 'b']) await world.ask('PUT', `/v1/users/${user}/dotfiles/${path}`, { body: { content } });
  }
});
afterAll(() => world.close());

type Taken = { header: BackupHeader; records: BackupRecord[]; parts: number };
async function taken(): Promise<Taken> {
  const records: BackupPart['records'][number][] = [];
  let parts = 0;
  for (let from: string | null = '', left = users.length; from !== null; ) {
    const answer = await world.ask('GET', `/v1/backup${from === '' ? '' : `?continue=${from}`}`);
    const part = BackupPart.parse(answer.json);
    expect(part.users.left).toBe(left - part.users.done);
    ({ left } = part.users);
    records.push(...part.records);
    parts += 1;
    from = part.continue;
  }
  const header = BackupHeader.parse(records[0]);
  return { header, records: records.flatMap((record) => (record.kind === 'header' ? [] : record)), parts };
}

function ofUsers(records: readonly BackupRecord[]): UserRecord[] {
  return records.flatMap((record) => (record.kind === 'user' ? record : []));
}

async function restore(url: string, body: object): Promise<RestoreReply['results']> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/restore`, { method: 'POST', headers, body: JSON.stringify(body) });
  return RestoreReply.parse(await response.json()).results;
}

test('a backup comes in parts, each user once, and holds nothing in the clear', async () => {
  const { header, records, parts } = await taken();
  expect(parts).toBeGreaterThan(1);
  expect(header).toMatchObject({ installation: 'test', users: users.length, formatVersion: 1 });
  expect(ofUsers(records).map(({ user }) => user)).toEqual(users);
  expect(records.map(({ kind }) => kind).slice(0, 5)).toEqual(['reconciler', 'class', 'class', 'tokens', 'homes']);
  // Not fewer: a megabyte of what is sealed has four of them by chance, now and then.
  expect(JSON.stringify(records)).not.toContain(content.slice(0, 100));
});

test('a restore names each record that is damaged, and restores the others', async () => {
  const { header, records } = await taken();
  const [alice, bob] = ofUsers(records);
  if (alice === undefined || bob === undefined) throw new Error('there are no users');
  const broken = { ...alice, vault: { revision: 7, entries: [['f:../../etc/passwd', 'v1.00000000.AAAA']] } };
  const unknown = { kind: 'class', name: 'gone', class: {} };
  const results = await restore(world.url, {
    header,
    records: [broken, { kind: 'riddle' }, bob, unknown],
    dryRun: true,
  });
  expect(results).toEqual([
    { of: 'user alice', part: '', outcome: 'damaged', why: 'vault.entries.0.0: names no file and no variable' },
    { of: 'riddle', part: '', outcome: 'damaged', why: expect.any(String) },
    { of: 'user bob', part: 'vault', outcome: 'same', why: '' },
    { of: 'class gone', part: '', outcome: 'note', why: expect.stringContaining('no such class') },
  ]);
});

test('a restore compares classes, and says which keys a vault needs that are not configured', async () => {
  const { header, records } = await taken();
  const results = await restore(world.url, { header, records: records.filter(({ kind }) => kind === 'class') });
  expect(results.map(({ outcome }) => outcome)).toEqual(['same', 'same']);
  const changed = records.map((record) =>
    record.kind === 'class' ? { ...record, class: { ...record.class, image: 'old:1' } } : record,
  );
  const told = await restore(world.url, { header, records: changed.filter(({ kind }) => kind === 'class') });
  expect(told[0]).toMatchObject({ of: 'class default', outcome: 'note', why: expect.stringContaining('by image;') });

  const other = await world.another({ vaultSecrets: { current: 'another-secret-0123456789', previous: [] } });
  const results2 = await restore(other.url, { header, records: ofUsers(records).slice(0, 1), dryRun: true });
  await other.close();
  expect(results2.at(-1)).toMatchObject({ part: 'vault', outcome: 'note', why: expect.stringContaining(keyId) });
});

test('a restore is refused where the backup is of another installation, or of a newer form', async () => {
  const { header } = await taken();
  const refused = async (changes: object, body: object = {}): Promise<string> => {
    const asked = { header: { ...header, ...changes }, records: [], ...body };
    const answer = await world.ask('POST', '/v1/restore', { body: asked });
    return answer.status === 200 ? 'taken' : Problem.parse(answer.json).code;
  };
  expect(await refused({})).toBe('taken');
  expect(await refused({ installation: 'elsewhere' })).toBe('backup-of-another');
  expect(await refused({ installation: 'elsewhere' }, { fromInstallation: 'test' })).toBe('backup-of-another');
  expect(await refused({ installation: 'elsewhere' }, { fromInstallation: 'elsewhere' })).toBe('taken');
  expect(await refused({ formatVersion: 2 })).toBe('backup-too-new');
});
