import { noLimits } from '#shared/config.ts';
import { fastify } from 'fastify';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ApiConfig } from '../../controller/src/api/api.ts';
import { addConsoleRoutes } from '../../controller/src/api/console-routes.ts';
import type { ZodTypes } from '../../controller/src/api/zod-compiler.ts';

const config: ApiConfig = {
  internalToken: 'test-token-0123456789',
  terminalSecret: 'test-terminal-secret-0123456789',
  publicWsUrl: 'wss://terminals.example/some/path',
  gatewayPort: 3921,
  publicUrl: 'http://127.0.0.1:3922',
  apiRequestsPerS: 1_000,
  trustedProxies: [],
  limits: noLimits,
};

let parent: string;
let dir: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'console-'));
  dir = join(parent, 'dist');
  await mkdir(join(dir, 'assets'), { recursive: true });
  await writeFile(join(parent, 'secret.txt'), 'not for pages');
  await writeFile(join(dir, 'index.html'), '<!doctype html><title>The page</title>');
  await writeFile(join(dir, 'assets/index-abc123.js'), 'export {};');
});
afterEach(() => rm(parent, { recursive: true }));

async function get(url: string) {
  const app = fastify().withTypeProvider<ZodTypes>();
  addConsoleRoutes({ app, config }, dir);
  try {
    return await app.inject({ method: 'GET', url });
  } finally {
    await app.close();
  }
}

test('the address of the API leads to the page, also behind a proxy that puts a path before it', async () => {
  for (const url of ['/', '/console']) {
    expect(await get(url)).toMatchObject({ statusCode: 302, headers: { location: 'console/' } });
  }
  const { statusCode, headers, body } = await get('/console/');
  expect([statusCode, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  expect(body).toContain('The page');
});

test('nothing that the page did not bring with it can run, be loaded, frame it or be reached but the API and the gateway', async () => {
  for (const url of ['/console/', '/console/assets/index-abc123.js']) {
    const { headers } = await get(url);
    const policy = String(headers['content-security-policy']).split('; ');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("connect-src 'self' wss://terminals.example");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("form-action 'none'");
    expect(policy).toContain("base-uri 'none'");
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  }
});

test('a file whose name changes with its content is kept by browsers for a year, the page itself is asked for anew', async () => {
  const asset = await get('/console/assets/index-abc123.js');
  expect(asset.headers['cache-control']).toBe('public, max-age=31536000, immutable');
  expect(asset.headers['content-type']).toContain('javascript');
  expect((await get('/console/')).headers['cache-control']).toBe('public, max-age=0');
});

test('a file that is not there is refused with a word on why, whatever the path tries', async () => {
  const paths = [
    'assets/index-gone.js',
    '../secret.txt',
    '..%2fsecret.txt',
    'assets/..%2f..%2fsecret.txt',
    '%00',
    '.env',
  ];
  for (const path of paths) {
    const { statusCode, body } = await get(`/console/${path}`);
    expect(statusCode, path).toBe(404);
    expect(body).not.toContain('not for pages');
  }
  expect(JSON.parse((await get('/console/assets/index-gone.js')).body)).toMatchObject({
    code: 'route-unknown',
    detail: expect.stringContaining('load the page again'),
  });
});

test('where the page is not built, the address says how to build it', async () => {
  await rm(join(dir, 'index.html'));
  const { statusCode, body } = await get('/console/');
  expect(statusCode).toBe(503);
  expect(body).toContain('npm run console');
});
