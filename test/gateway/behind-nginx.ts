import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/redis.ts';

/** Where Debian and Ubuntu have it, and where people build it; `npm test` installs the first where it can. */
const programs = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/sbin/nginx', '/usr/local/nginx/sbin/nginx'];
export const nginxProgram = programs.find((path) => existsSync(path));

const file = new URL('../../manifests/deploy/nginx/terminals.conf', import.meta.url);
const upWithinMs = 10_000;

export interface Nginx {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * nginx with the file of the manifests as it stands, but for the address, its certificate, and where the gateways are. `mistakes`: a
 * line, and what somebody wrote instead.
 */
export async function startNginx(
  gatewayPorts: readonly number[],
  mistakes: readonly (readonly [line: string, instead: string])[] = [],
): Promise<Nginx> {
  if (nginxProgram === undefined) throw new Error(`none of ${programs.join(', ')} is here: install nginx-light`);
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'nginx-'));
  const gateways = gatewayPorts.map((gateway) => `server 127.0.0.1:${gateway} max_fails=1 fail_timeout=2s;`).join('\n');
  let terminals = readFileSync(file, 'utf8');
  for (const [line, instead] of [
    ['listen 443 ssl;', `listen 127.0.0.1:${port};`],
    [/ssl_certificate \s*\S+;/, ''],
    [/ssl_certificate_key \s*\S+;/, ''],
    [/^ {2}server 127\.0\.0\.1:3921 .*;$/gm, gateways],
    ...mistakes,
  ] as const) {
    const changed = terminals.replace(line, instead);
    if (changed === terminals) throw new Error(`${file.pathname} has no ${line} any more`);
    terminals = changed;
  }
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  );
  const settings = [
    process.getuid?.() === 0 ? 'user root;' : '',
    `pid ${dir}/pid; error_log stderr; worker_processes 1; daemon off;`,
    'events { worker_connections 256; }',
    `http { access_log off; ${temporary.join(' ')}`,
    `${terminals} }`,
  ];
  writeFileSync(join(dir, 'nginx.conf'), settings.join('\n'));
  const child = spawn(nginxProgram, ['-e', 'stderr', '-p', dir, '-c', join(dir, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const until = performance.now() + upWithinMs;
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > until) throw new Error(`nginx does not run: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    port,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      rmSync(dir, { recursive: true });
    },
  };
}

async function answers(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
  await response?.body?.cancel();
  return response !== null;
}
