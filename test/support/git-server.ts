import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A git server on loopback, by git's own CGI program, with one repository: two commits on `main`, one more on each other branch. */
export interface GitServer extends AsyncDisposable {
  /** of the repository */
  readonly url: string;
  /** certificate of the https server, PEM; '' without TLS */
  readonly certificate: string;
  /** how often something was fetched */
  readonly fetches: number;
  /** the `Authorization` of every request, '' where it had none */
  readonly authorizations: readonly string[];
  /** what every request has to show; null = nothing */
  password: string | null;
  /** every request is sent there */
  redirectTo: string | null;
  /** whoever fetches from now on waits */
  holds: boolean;
  /** lets all go who wait */
  letGo(): void;
}

export async function startGitServer(options: { branches: string[]; tls?: boolean }): Promise<GitServer> {
  const dir = mkdtempSync(join(tmpdir(), 'spoonbox-git-'));
  const repository = join(dir, 'shop.git');
  makeRepository(join(dir, 'work'), repository, options.branches);
  const tls = options.tls === true ? makeCertificate(dir) : null;
  const authorizations: string[] = [];
  const held = new Set<() => void>();
  const state = { fetches: 0, password: null as string | null, redirectTo: null as string | null, holds: false };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { authorization = '' } = request.headers;
    authorizations.push(authorization);
    const url = new URL(request.url ?? '', 'http://server');
    if (state.redirectTo !== null) {
      response.writeHead(302, { location: state.redirectTo + url.pathname + url.search }).end();
      return;
    }
    if (state.password !== null && authorization !== `Basic ${Buffer.from(state.password).toString('base64')}`) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    if (request.method === 'POST') {
      state.fetches += 1;
      if (state.holds) await new Promise<void>((resolve) => held.add(resolve));
    }
    backend(dir, request, response, url);
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    serve(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  };
  const server = tls === null ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const letGo = (): void => {
    for (const resolve of held) resolve();
    held.clear();
  };
  return {
    url: `${tls === null ? 'http' : 'https'}://127.0.0.1:${port}/shop.git`,
    certificate: tls?.cert ?? '',
    authorizations,
    get fetches() {
      return state.fetches;
    },
    get password() {
      return state.password;
    },
    set password(password) {
      state.password = password;
    },
    get redirectTo() {
      return state.redirectTo;
    },
    set redirectTo(to) {
      state.redirectTo = to;
    },
    get holds() {
      return state.holds;
    },
    set holds(holds) {
      state.holds = holds;
    },
    letGo,
    async [Symbol.asyncDispose]() {
      letGo();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** CGI, as git-http-backend(1) wants it. */
function backend(root: string, request: IncomingMessage, response: ServerResponse, url: URL): void {
  const child = spawn('git', ['http-backend'], {
    env: {
      ...{ PATH: process.env.PATH, GIT_PROJECT_ROOT: root, GIT_HTTP_EXPORT_ALL: '1', PATH_INFO: url.pathname },
      ...{ QUERY_STRING: url.search.slice(1), REQUEST_METHOD: request.method, REMOTE_ADDR: '127.0.0.1' },
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {}); // it may end without having read all
  request.pipe(child.stdin);
  let head: Buffer | null = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    if (head === null) {
      response.write(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const lines = head.subarray(0, end).toString().split('\r\n');
    const fields = lines.map((line) => line.split(/: */, 2) as [string, string]);
    const status = fields.find(([name]) => name === 'Status')?.[1] ?? '200';
    response.writeHead(Number.parseInt(status, 10), Object.fromEntries(fields));
    response.write(head.subarray(end + 4));
    head = null;
  });
  child.once('close', () => response.end());
}

function makeRepository(work: string, bare: string, branches: readonly string[]): void {
  const git = (...args: string[]): void => {
    const identity = { GIT_AUTHOR_NAME: 'T', GIT_AUTHOR_EMAIL: 't@example.org' };
    const committer = { GIT_COMMITTER_NAME: 'T', GIT_COMMITTER_EMAIL: 't@example.org' };
    const own = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
    execFileSync('git', args, { stdio: 'pipe', env: { PATH: process.env.PATH, ...identity, ...committer, ...own } });
  };
  git('init', '--quiet', '--initial-branch=main', work);
  for (const n of [1, 2]) {
    writeFileSync(join(work, 'file.txt'), `commit ${n}\n`);
    git('-C', work, 'add', 'file.txt');
    git('-C', work, 'commit', '--quiet', '-m', `commit ${n}`);
  }
  for (const branch of branches) {
    git('-C', work, 'switch', '--quiet', '-c', branch, 'main');
    git('-C', work, 'commit', '--quiet', '--allow-empty', '-m', `on ${branch}`);
  }
  git('clone', '--quiet', '--bare', work, bare);
}

function makeCertificate(dir: string): { key: string; cert: string } {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert, ...names];
  execFileSync('openssl', args, { stdio: 'pipe' });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}
