import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BackupPart } from '#shared/backup.ts';
import { InstallationId, UserName } from '#shared/identity.ts';
import { type BackupFile, openBackup } from '../../controller/cli/backup/open-backup.ts';
import { backupRecords, checkBackup } from '../../controller/cli/backup/read-backup.ts';
import { writeBackup } from '../../controller/cli/backup/write-backup.ts';
import { writeWhole } from '../../controller/cli/backup/write-file.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spoonbox-backup-'));
});
afterAll(() => rm(folder, { recursive: true }));

const header: BackupPart['records'][number] = {
  ...{ kind: 'header', format: 'spoonbox-backup', formatVersion: 1, version: '0' },
  ...{ installation: InstallationId.parse('here'), takenAt: 1_700_000_000_000, users: 2 },
};
function userOf(name: string, keyId: string): BackupPart['records'][number] {
  const entries: [string, string][] = [['f:.bashrc – é', `v1.${keyId}.AAAA`]];
  const nothing = { desired: null, wishes: [], pins: [] };
  return { kind: 'user', user: UserName.parse(name), ...nothing, vault: { revision: 7, entries }, vaultOrders: [] };
}
const parts: Record<string, BackupPart> = {
  first: { records: [header, userOf('alice', '0000000b')], users: { done: 1, left: 1 }, continue: 'second' },
  second: { records: [userOf('bob', '0000000a')], users: { done: 1, left: 0 }, continue: null },
};
const client = {
  async backupPart(from: string | null): Promise<BackupPart> {
    const part = parts[from ?? 'first'];
    if (part === undefined) throw new Error(`there is no part ${from}`);
    return part;
  },
  restoreRecords: () => Promise.reject(new Error('nothing is restored here')),
};

async function written(): Promise<string> {
  const path = join(folder, 'whole.jsonl');
  await writeWhole(path, (write) => writeBackup(client, write, () => {}, signal));
  return path;
}

async function put(bytes: string | Buffer): Promise<string> {
  const path = join(folder, 'changed.jsonl');
  await writeFile(path, bytes);
  return path;
}

async function changed(change: (text: string) => string | Buffer): Promise<string> {
  return await put(change(await readFile(await written(), 'utf8')));
}

async function reading<Value>(path: string, read: (file: BackupFile) => Promise<Value>): Promise<Value> {
  const file = await openBackup(path, signal);
  return await read(file).finally(() => file.handle.close());
}

const refusal = (path: string): Promise<string> =>
  reading(path, (file) => checkBackup(file, signal)).then(() => 'taken', String);

async function bothTimes(path: string): Promise<unknown[]> {
  return await reading(path, async (file) => {
    const found: unknown[] = [await checkBackup(file, signal)];
    for await (const record of backupRecords(file, signal)) found.push(record);
    return found;
  });
}

test('a backup is read as it was written, part by part, and says which keys its vaults need', async () => {
  const path = await written();
  const summary = { kind: 'summary', records: { user: 2 }, keyIds: ['0000000a', '0000000b'] };
  const whole = [{ header, summary }, userOf('alice', '0000000b'), userOf('bob', '0000000a')];
  expect(await bothTimes(path)).toEqual(whole);
});

test('a backup that comes through a pipe is read whole before anything of it is restored, too', async () => {
  const pipe = join(folder, 'pipe');
  await run('mkfifo', [pipe]);
  const [found] = await Promise.all([bothTimes(pipe), writeFile(pipe, await readFile(await written()))]);
  expect(found).toEqual(await bothTimes(await written()));
});

test('a file is refused wherever it was cut off, and whichever of its bytes was changed', async () => {
  const whole = await readFile(await written());
  // The newline at its very end is nobody's.
  for (let length = 0; length < whole.length - 1; length += 7) {
    const path = await put(whole.subarray(0, length));
    expect(await refusal(path), `${length} bytes`).toContain('is no whole backup');
  }
  for (let at = 0; at < whole.length - 1; at += 7) {
    const other = Buffer.from(whole);
    other[at] = (other[at] ?? 0) ^ 1;
    expect(await refusal(await put(other)), `byte ${at}`).toContain('is no whole backup');
  }
});

test('a file is refused to which something was added, which lacks its header, or is of something else', async () => {
  expect(await refusal(await changed((text) => `${text}{"kind":"user"}\n`))).toContain('something follows its end');
  expect(await refusal(await changed((text) => text.slice(0, text.indexOf('{"kind":"end"'))))).toContain(
    'cut off after line',
  );
  expect(await refusal(await changed(() => 'hello\n'))).toContain('line 1 is no record');
  const sha256 = createHash('sha256').update('{"kind":"user"}\n').digest('hex');
  const headless = `{"kind":"user"}\n${JSON.stringify({ kind: 'end', sha256 })}\n`;
  expect(await refusal(await changed(() => headless))).toContain('no header');
  expect(await refusal(join(folder, 'none'))).toContain('cannot be read');
  expect(await refusal(await changed((text) => gzipSync(text)))).toContain('unpack it with gunzip');
});

test('a backup that fails leaves the file of before, and nothing else', async () => {
  const path = await written();
  const before = await readFile(path, 'utf8');
  const failing = { ...client, backupPart: () => Promise.reject(new Error('Redis has gone')) };
  const failed = writeWhole(path, async (write) => {
    await write('half a line');
    return await writeBackup(failing, write, () => {}, signal);
  });
  await expect(failed).rejects.toThrow('Redis has gone');
  expect(await readFile(path, 'utf8')).toBe(before);
  // One of this very pid was killed.
  await writeFile(`${path}.partial-${process.pid}`, 'half');
  expect(await written()).toBe(path);
  await rm(`${path}.partial-${process.pid}`);
  expect((await readdir(folder)).filter((name) => name.includes('partial'))).toEqual([]);
});
