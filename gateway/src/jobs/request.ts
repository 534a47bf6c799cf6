import type { IncomingMessage } from 'node:http';
import {
  bearerProtocolPrefix,
  execPath,
  type ExecProtocol,
  execProtocols,
  type ExecRefusal,
} from '#shared/exec-protocol.ts';
import { UserName, userOfBoxName } from '#shared/identity.ts';
import { tokenProtocolPrefix } from '#shared/terminal-protocol.ts';
import { Directory } from '#shared/terminal-claims.ts';
import type { Refusal } from '../refusal.ts';
import { type AskedCheckout, checkoutAsked } from './checkout.ts';

/** What a request for a command says, before anything of it is believed. */
export interface JobRequest {
  /** null: the one of the token */
  readonly user: UserName | null;
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly directory: string | null;
  readonly where: AskedCheckout;
  readonly protocol: ExecProtocol;
  readonly credential: Credential | null;
}

export interface Credential {
  readonly text: string;
  /** proxies log URLs: only what is used once may stand there */
  readonly inUrl: boolean;
}

const podExecPath = /^\/api\/v1\/namespaces\/[^/]+\/pods\/([^/]+)\/exec$/;

export function isJobPath(path: string): boolean {
  return path === execPath || podExecPath.test(path);
}

export function readJobRequest(request: IncomingMessage): JobRequest | Refusal {
  const url = URL.parse(request.url ?? '', 'http://gateway');
  if (url === null || !isJobPath(url.pathname)) return refused('route-unknown', `commands are run at ${execPath}`);
  if (request.method !== 'GET') return refused('method-refused', 'a WebSocket begins with GET');
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((entry) => entry.trim());
  const protocol = execProtocols.find((known) => offered.includes(known));
  if (protocol === undefined) return refused('protocol-unknown', `offer the subprotocol ${execProtocols[0]}`);
  const query = url.searchParams;
  const user = userIn(url);
  if (user !== null && !user.success) return refused('user-refused', user.error.issues[0]?.message ?? 'no user name');
  const command = query.getAll('command');
  if (command.length === 0 || command[0] === '') {
    return refused('command-missing', 'name the command: command= for each of its words');
  }
  const directory = Directory.safeParse(query.get('directory'));
  if (query.has('directory') && !directory.success) {
    return refused('parameter-refused', `directory ${directory.error.issues[0]?.message ?? 'is refused'}`);
  }
  const where = checkoutAsked(query);
  if ('code' in where) return where;
  const stdin = flagIn(query, 'stdin', false);
  const stdout = flagIn(query, 'stdout', true);
  const stderr = flagIn(query, 'stderr', true);
  const tty = flagIn(query, 'tty', false);
  if (stdin === null || stdout === null || stderr === null || tty === null) {
    return refused('parameter-refused', 'stdin, stdout, stderr and tty are true or false');
  }
  if (tty) return refused('tty-refused', 'a command has no terminal here: leave out tty, or open /v1/terminal');
  return {
    user: user?.data ?? null,
    command,
    stdin,
    stdout,
    stderr,
    directory: directory.data ?? null,
    where,
    protocol,
    credential: credentialOf(request, offered, query),
  };
}

/** null: none is named. */
function userIn(url: URL): ReturnType<typeof UserName.safeParse> | null {
  const pod = podExecPath.exec(url.pathname)?.[1];
  if (pod === undefined) {
    const named = url.searchParams.get('user');
    return named === null ? null : UserName.safeParse(named);
  }
  // What is no box's name stays as it is, and is refused as a user name.
  return UserName.safeParse(userOfBoxName(decoded(pod)) ?? '');
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

const flags: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false };

/** null: neither true nor false. */
function flagIn(query: URLSearchParams, name: string, otherwise: boolean): boolean | null {
  const text = query.get(name);
  return text === null || text === '' ? otherwise : (flags[text] ?? null);
}

function credentialOf(request: IncomingMessage, offered: readonly string[], query: URLSearchParams): Credential | null {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return { text: bearer, inUrl: false };
  const encoded = offered.find((entry) => entry.startsWith(bearerProtocolPrefix));
  if (encoded !== undefined) {
    const text = Buffer.from(encoded.slice(bearerProtocolPrefix.length), 'base64url').toString();
    return { text, inUrl: false };
  }
  const token = offered.find((entry) => entry.startsWith(tokenProtocolPrefix));
  if (token !== undefined) return { text: token.slice(tokenProtocolPrefix.length), inUrl: false };
  const inQuery = query.get('token');
  return inQuery === null ? null : { text: inQuery, inUrl: true };
}

function refused(code: ExecRefusal, detail: string): Refusal {
  return { code, detail };
}
