import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BackupHeader, BackupPart, RestoreReply } from '#shared/backup.ts';
import { ApiTokenReply, ReconcilerView } from '#shared/operator-schemas.ts';
import { VaultView } from '#shared/vault-schemas.ts';
import { type CliRun, runCli } from '../cli/cli-run.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { boxOf, createInstallation, type Installation, reach, ready, until } from './installation.ts';

/** An installation loses its Redis, and a backup brings back what no box and no holder could. */

const secretText = 'hunter2-which-no-file-may-hold';
let installation: Installation;
let controller: ControllerProcess;
let file: string;
beforeAll(async () => {
  installation = await createInstallation();
  controller = await installation.controller({ SPOON_ENCRYPTION_KEY: 'the-key-of-this-test-0123456789' });
  file = join(installation.world.docker.workdir, 'before.jsonl');
});
afterAll(() => installation?.[Symbol.asyncDispose]());

const cli = (...args: string[]): Promise<CliRun> => runCli(args, reach(controller));
const restore = (path: string, ...more: string[]): Promise<CliRun> => cli('restore', '--file', path, '--yes', ...more);

async function ask(method: string, path: string, body?: unknown): Promise<unknown> {
  const { status, json } = await controller.ask(method, path, body);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(json)}`);
  return json;
}

async function statusWith(token: string): Promise<number> {
  return (await fetch(`${controller.url}/v1/boxes`, { headers: { authorization: `Bearer ${token}` } })).status;
}

async function outcomes(run: CliRun): Promise<string[]> {
  const { results } = RestoreReply.loose().parse(JSON.parse(run.out));
  return results.map(({ of, part, outcome }) => `${of} ${part}: ${outcome}`);
}

/** The same backup with other lines, and a digest that fits them. */
async function written(name: string, change: (lines: string[]) => string[]): Promise<string> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n').slice(0, -1);
  const text = change(lines)
    .map((line) => `${line}\n`)
    .join('');
  const sha256 = createHash('sha256').update(text).digest('hex');
  const path = join(installation.world.docker.workdir, name);
  await writeFile(path, `${text}${JSON.stringify({ kind: 'end', sha256 })}\n`);
  return path;
}

test('Redis is lost, boxes go on, and a restore brings vault, pin, token and mode back; a second one changes nothing', async () => {
  const user = installation.newUser('kept');
  const pin = { kind: 'pin', holder: 'ann', ttlMs: 3_600_000 };
  await ask('PUT', `/v1/boxes/${user}/leases/p1?waitMs=30000`, pin);
  const running = await ready(controller, user);
  const startedAt = await installation.startedAt(running.containerId);
  await ask('PUT', `/v1/users/${user}/environment/SECRET`, { value: secretText });
  await ask('PUT', `/v1/users/${user}/dotfiles/.bashrc`, { content: `# ${secretText}`, mode: '0600' });
  const { token } = ApiTokenReply.parse(await ask('POST', '/v1/tokens', { name: 'ci', role: 'viewer' }));
  await ask('PUT', '/v1/reconciler/mode', { mode: 'drain', reason: 'the disk is changed' });

  const kept = await cli('backup', '--file', file);
  expect(kept).toMatchObject({ code: 0, out: '' });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const text = await readFile(file, 'utf8');
  expect(text).not.toContain(secretText);
  expect(text).not.toContain(token);
  expect(text).toContain(join(installation.world.docker.workdir, 'homes'));

  await installation.world.redis.restore('none');
  await until('the token is lost', async () => (await statusWith(token)) === 401);
  const unheld = await until('the box is seen again', async () => {
    const { status } = await controller.ask('GET', `/v1/boxes/${user}`);
    return status === 200 ? await boxOf(controller, user) : null;
  });
  expect(unheld).toMatchObject({ containerId: running.containerId, leases: [] });

  const dry = await cli('restore', '--file', file, '--dry-run');
  expect(dry).toMatchObject({ code: 0 });
  expect((await boxOf(controller, user)).leases).toEqual([]);

  expect(await restore(file)).toMatchObject({ code: 0 });
  const back = await until('the pin holds the box', async () => {
    const box = await boxOf(controller, user);
    return box.leases.length > 0 && box.ready ? box : null;
  });
  expect(back).toMatchObject({ containerId: running.containerId, leases: [{ id: 'p1', kind: 'pin', holder: 'ann' }] });
  expect(await installation.startedAt(running.containerId)).toBe(startedAt);
  expect(VaultView.parse(await ask('GET', `/v1/users/${user}/vault`))).toMatchObject({
    dotfiles: [{ path: '.bashrc', mode: '0600', content: `# ${secretText}` }],
    environment: { SECRET: secretText },
  });
  expect(await statusWith(token)).toBe(200);
  const { mode } = ReconcilerView.parse(await ask('GET', '/v1/reconciler'));
  expect(mode).toMatchObject({ mode: 'drain', reason: 'the disk is changed' });

  const again = await restore(file, '-o', 'json');
  expect(again.code).toBe(0);
  expect((await outcomes(again)).filter((told) => !told.endsWith(': same'))).toEqual([]);
});

test('what is newer stays, and is named, until the backup is to go before it', async () => {
  const user = installation.newUser('newer');
  await ask('PUT', `/v1/users/${user}/environment/EDITOR`, { value: 'vim' });
  await ask('PUT', '/v1/reconciler/mode', { mode: 'drain' });
  await cli('backup', '--file', file);
  await ask('PUT', `/v1/users/${user}/environment/EDITOR`, { value: 'emacs' });
  await ask('PUT', '/v1/reconciler/mode', { mode: 'run' });
  const run = await restore(file);
  expect(run.code).toBe(1);
  expect(run.out).toContain(`user ${user}, vault: newer here, so it stays: it was changed since`);
  expect(run.out).toContain('reconciler, mode: newer here, so it stays');
  expect(await ask('GET', `/v1/users/${user}/environment/EDITOR`)).toMatchObject({ value: 'emacs' });
  expect(await restore(file, '--overwrite')).toMatchObject({ code: 0 });
  expect(await ask('GET', `/v1/users/${user}/environment/EDITOR`)).toMatchObject({ value: 'vim' });
});

test('a file that was changed is refused whole, and so is one of another installation without consent', async () => {
  const user = installation.newUser('damaged');
  await ask('PUT', `/v1/users/${user}/environment/EDITOR`, { value: 'vim' });
  await cli('backup', '--file', file);
  await ask('DELETE', `/v1/users/${user}/environment/EDITOR`);
  const stays = async (run: CliRun, why: string): Promise<void> => {
    expect(run.code).toBe(1);
    expect(run.err).toContain(why);
    const { status } = await controller.ask('GET', `/v1/users/${user}/environment/EDITOR`);
    expect(status).toBe(404);
  };
  const text = await readFile(file, 'utf8');
  const broken = `${file}.broken`;
  await writeFile(broken, text.replace('"pins":[]', '"pins":[ ]'));
  await stays(await restore(broken), 'is no whole backup: it was changed');

  const moved = await written('moved.jsonl', ([first = '', ...rest]) => {
    const header: BackupHeader = { ...JSON.parse(first), installation: 'elsewhere' };
    return [JSON.stringify(header), ...rest];
  });
  await stays(await restore(moved), 'consent with --installation elsewhere');
  await stays(await restore(moved, '--installation', 'another'), 'consent with --installation elsewhere');
  const one = await written('one.jsonl', (lines) => lines.map((line) => line.replace('"pins":[]', '"pins":7')));
  const damaged = await restore(one);
  expect(damaged).toMatchObject({ code: 1 });
  expect(damaged.out).toContain(`user ${user}: damaged: pins`);
  const kept = await restore(moved, '--installation', 'elsewhere');
  expect(kept).toMatchObject({ code: 1, out: expect.stringContaining('it was emptied since') });
  expect(await restore(moved, '--installation', 'elsewhere', '--overwrite')).toMatchObject({ code: 0 });
  expect(await ask('GET', `/v1/users/${user}/environment/EDITOR`)).toMatchObject({ value: 'vim' });
});

test('a backup is not written into a terminal, nor over a file that is there before it is whole', async () => {
  const before = await readFile(file, 'utf8');
  const shown = await runCli(['backup'], { ...reach(controller), tty: true });
  expect(shown.code).toBe(2);
  expect(shown.out).toContain('a terminal is no place for a backup');
  const piped = await cli('backup');
  expect(BackupPart.shape.records.element.parse(JSON.parse(piped.out.split('\n')[0] ?? ''))).toMatchObject({
    kind: 'header',
  });
  expect((await runCli(['backup', '--file', file], { ...reach(controller), token: 'wrong' })).code).toBe(77);
  expect(await readFile(file, 'utf8')).toBe(before);
  expect((await cli('restore', '--file', file)).err).toContain('confirm with --yes');
});
