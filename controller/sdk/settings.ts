import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { codeOf } from '#shared/faults.ts';
import { parseJson } from '#shared/json.ts';
import { NoSettings } from './errors.ts';

/** Where the API is, and what to show it. */
export interface Settings {
  readonly server: string;
  readonly token: string;
  /** where the gateway is reached from this machine; null = the URL that the API hands out */
  readonly gateway: string | null;
}

export interface GivenSettings {
  readonly server?: string | undefined;
  readonly token?: string | undefined;
  readonly gateway?: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const ClientFile = z.object({ server: z.url(), token: z.string().min(1), gateway: z.url().optional() });
const clientFileName = join('.spoonbox', 'client.json');

/**
 * What is given, then the environment, then the file that `npm start` wrote, found upward from each of `folders`.
 *
 * INVARIANT: a token goes to the server that was named with it. The file may lie in somebody's checkout: its token is for its own
 * server only, and one that is given, or of the environment, is never sent where a file says. A file of another user names nothing.
 */
export function findSettings(given: GivenSettings, environment: Environment, folders: readonly string[]): Settings {
  const server = given.server ?? nonEmpty(environment.SPOONBOX_SERVER);
  const token = given.token ?? nonEmpty(environment.SPOONBOX_TOKEN);
  // As with the file's: not for a server that is named beside it.
  const named = given.gateway ?? (given.server === undefined ? nonEmpty(environment.SPOONBOX_GATEWAY) : undefined);
  const gateway = named === undefined ? null : checked('gateway', /^(https?|wss?)$/, named);
  if (server !== undefined && token !== undefined) return { server: checkedServer(server), token, gateway };
  const file = readClientFile(folders, environment);
  if (!file) {
    const what = server === undefined ? 'no server is known' : 'no token is known';
    throw new NoSettings(
      `${what}: there is no ${clientFileName} from here upward; run \`npm start\`, or set SPOONBOX_SERVER and SPOONBOX_TOKEN, or --server and --token`,
    );
  }
  const asked = checkedServer(server ?? file.server);
  if (token !== undefined) {
    const what = given.token === undefined ? 'SPOONBOX_TOKEN' : '--token';
    throw new NoSettings(
      `the token of ${what} is not sent to ${asked}, which only ${file.path} names: say SPOONBOX_SERVER or --server too, or leave the token out`,
    );
  }
  // Whoever names another server must not be shown that token.
  if (asked !== checkedServer(file.server)) {
    throw new NoSettings(
      `no token is known for ${asked}: that of ${clientFileName} is for ${file.server} only; set SPOONBOX_TOKEN, or --token`,
    );
  }
  return {
    server: asked,
    token: file.token,
    // A server named elsewhere hands out its own gateway.
    gateway: gateway ?? (server === undefined ? (file.gateway ?? null) : null),
  };
}

function readClientFile(
  folders: readonly string[],
  environment: Environment,
): (z.infer<typeof ClientFile> & { path: string }) | null {
  for (const dir of folders.flatMap(upward)) {
    const path = join(dir, clientFileName);
    let found: { text: string; owner: number };
    try {
      found = readOwned(path);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) continue;
      throw new NoSettings(`${path} cannot be read: ${error instanceof Error ? error.message : error}`);
    }
    const { text, owner } = found;
    if (!isTrusted(owner, environment.SUDO_UID)) {
      throw new NoSettings(
        `${path} belongs to another user (uid ${owner}), and what it names is not used: set SPOONBOX_SERVER and SPOONBOX_TOKEN, or --server and --token`,
      );
    }
    const parsed = ClientFile.safeParse(parseJson(text));
    if (parsed.success) return { ...parsed.data, path };
    throw new NoSettings(`${path} is damaged: stop and start Spoonbox again to have it written anew`);
  }
  return null;
}

/** Both of one file, whatever is put in its place meanwhile. */
function readOwned(path: string): { text: string; owner: number } {
  const file = openSync(path, 'r');
  try {
    return { owner: fstatSync(file).uid, text: readFileSync(file, 'utf8') };
  } finally {
    closeSync(file);
  }
}

/** This user, root, or who became root by sudo: a folder that anybody may write to, as /tmp, could hold anybody's file. */
function isTrusted(owner: number, sudoUid: string | undefined): boolean {
  const own = process.geteuid?.();
  return own === undefined || owner === own || owner === 0 || (own === 0 && String(owner) === sudoUid);
}

function upward(from: string): string[] {
  const parent = dirname(from);
  return parent === from ? [from] : [from, ...upward(parent)];
}

function checkedServer(server: string): string {
  return checked('server', /^https?$/, server);
}

function checked(what: string, protocol: RegExp, url: string): string {
  if (!z.url({ protocol }).safeParse(url).success) {
    throw new NoSettings(`the ${what} ${url} is no URL: write http://host:port`);
  }
  return url.replace(/\/+$/, '');
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
