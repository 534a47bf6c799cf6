import { readFileSync } from 'node:fs';
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

const ClientFile = z.object({ server: z.url(), token: z.string().min(1), gateway: z.url().optional() });
const clientFileName = join('.spoonbox', 'client.json');

/**
 * What is given, then the environment, then the file that `npm start` wrote, found upward from each of `folders`. The token of
 * the file is for its own server only.
 */
export function findSettings(
  given: GivenSettings,
  environment: Readonly<Record<string, string | undefined>>,
  folders: readonly string[],
): Settings {
  const server = given.server ?? nonEmpty(environment.SPOONBOX_SERVER);
  const token = given.token ?? nonEmpty(environment.SPOONBOX_TOKEN);
  // As with the file's: not for a server that is named beside it.
  const named = given.gateway ?? (given.server === undefined ? nonEmpty(environment.SPOONBOX_GATEWAY) : undefined);
  const gateway = named === undefined ? null : checked('gateway', /^(https?|wss?)$/, named);
  if (server !== undefined && token !== undefined) return { server: checkedServer(server), token, gateway };
  const file = readClientFile(folders);
  if (!file) {
    const what = server === undefined ? 'no server is known' : 'no token is known';
    throw new NoSettings(
      `${what}: there is no ${clientFileName} from here upward; run \`npm start\`, or set SPOONBOX_SERVER and SPOONBOX_TOKEN, or --server and --token`,
    );
  }
  const asked = checkedServer(server ?? file.server);
  // Whoever names another server must not be shown that token.
  if (token === undefined && asked !== checkedServer(file.server)) {
    throw new NoSettings(
      `no token is known for ${asked}: that of ${clientFileName} is for ${file.server} only; set SPOONBOX_TOKEN, or --token`,
    );
  }
  return {
    server: asked,
    token: token ?? file.token,
    // A server named elsewhere hands out its own gateway.
    gateway: gateway ?? (server === undefined ? (file.gateway ?? null) : null),
  };
}

function readClientFile(folders: readonly string[]): z.infer<typeof ClientFile> | null {
  for (const dir of folders.flatMap(upward)) {
    const path = join(dir, clientFileName);
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) continue;
      throw new NoSettings(`${path} cannot be read: ${error instanceof Error ? error.message : error}`);
    }
    const parsed = ClientFile.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new NoSettings(`${path} is damaged: stop and start Spoonbox again to have it written anew`);
  }
  return null;
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
