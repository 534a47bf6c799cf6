import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { parseJson } from '#shared/json.ts';
import { CliError, exitCodes } from './command.ts';

/** Where the API is, and what to show it. */
export interface Settings {
  readonly server: string;
  readonly token: string;
  /** where the gateway is reached from this machine; null = the URL that the API hands out */
  readonly gateway: string | null;
}

const ClientFile = z.object({ server: z.url(), token: z.string().min(1), gateway: z.url().optional() });
const clientFileName = join('.spoonbox', 'client.json');
const project = fileURLToPath(new URL('../..', import.meta.url));

/** Flags, then the environment, then the file that `npm start` wrote, found upward from here, last in the project itself. */
export function findSettings(
  flags: { server?: string | undefined; token?: string | undefined },
  environment: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Settings {
  const server = flags.server ?? nonEmpty(environment.SPOONBOX_SERVER);
  const token = flags.token ?? nonEmpty(environment.SPOONBOX_TOKEN);
  if (server !== undefined && token !== undefined) return { server: checkedServer(server), token, gateway: null };
  const file = readClientFile(cwd);
  if (!file) {
    const what = server === undefined ? 'no server is known' : 'no token is known';
    throw new CliError(
      `${what}: there is no ${clientFileName} from here upward; run \`npm start\`, or set SPOONBOX_SERVER and SPOONBOX_TOKEN, or --server and --token`,
      exitCodes.usage,
    );
  }
  return {
    server: checkedServer(server ?? file.server),
    token: token ?? file.token,
    // A server named elsewhere hands out its own gateway.
    gateway: server === undefined ? (file.gateway ?? null) : null,
  };
}

function readClientFile(cwd: string): z.infer<typeof ClientFile> | null {
  for (const dir of [...upward(cwd), project]) {
    const path = join(dir, clientFileName);
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) continue;
      throw new CliError(`${path} cannot be read: ${error instanceof Error ? error.message : error}`, exitCodes.usage);
    }
    const parsed = ClientFile.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new CliError(`${path} is damaged: stop and start Spoonbox again to have it written anew`, exitCodes.usage);
  }
  return null;
}

function upward(from: string): string[] {
  const parent = dirname(from);
  return parent === from ? [from] : [from, ...upward(parent)];
}

function checkedServer(server: string): string {
  if (!z.url({ protocol: /^https?$/ }).safeParse(server).success) {
    throw new CliError(`the server ${server} is no URL: write http://host:port`, exitCodes.usage);
  }
  return server.replace(/\/+$/, '');
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
