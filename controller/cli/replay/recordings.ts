import { lstat, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from '../command.ts';
import { codeOf } from '#shared/faults.ts';
import { recordingsFolder } from '#shared/workdir.ts';

export interface Recording {
  readonly path: string;
  readonly session: string;
  readonly startedAt: number;
  readonly bytes: number;
}

const project = fileURLToPath(new URL('../../..', import.meta.url));
const fileName = /^(.+)-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{3})Z\.cast$/;

/** `{workdir}/recordings`, where the gateway of this machine keeps them. */
export function recordingsDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  return join(resolve(environment.SPOON_AGENT_WORKDIR || join(project, '.spoonbox', 'work')), recordingsFolder);
}

/** Oldest first; none where there is no such directory. */
export async function recordingsOf(dir: string, user: string): Promise<Recording[]> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(user)) throw new CliError(`${user} is no user name`);
  const own = join(dir, user);
  const found: Recording[] = [];
  for (const name of await namesIn(own)) {
    const [, session, year, month, day, hour, minute, second] = fileName.exec(name) ?? [];
    if (session === undefined) continue;
    const path = join(own, name);
    const { size } = await lstat(path);
    const startedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    found.push({ path, session, startedAt, bytes: size });
  }
  return found.sort((a, b) => a.startedAt - b.startedAt);
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new CliError(`${dir} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
