import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { Refusal } from './refusal.ts';

/** `/proc/net/tcp` writes the state of a listening socket so. */
const listening = '0A';

/** Refuses in one line when somebody else listens on the port. */
export async function requireFreePort(port: number, what: string, variable: string): Promise<void> {
  if (await isFree(port)) return;
  const owner = ownerOf(port);
  throw new Refusal(
    `port ${port} of the ${what} is taken${owner === undefined ? '' : ` by ${owner}`}: stop that, or set ${variable} to another port`,
  );
}

export async function firstFreePort(from: number, count: number): Promise<number | undefined> {
  for (let port = from; port < from + count; port += 1) {
    if (await isFree(port)) return port;
  }
  return undefined;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)));
  });
}

/** Best effort: the process that holds the socket, where /proc shows it to us. */
function ownerOf(port: number): string | undefined {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readText(table).split('\n')) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === listening && local?.endsWith(`:${wanted}`) && inode !== undefined) inodes.add(`socket:[${inode}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    const holds = list(`/proc/${pid}/fd`).some((fd) => inodes.has(linkOf(`/proc/${pid}/fd/${fd}`)));
    if (holds) return `${readText(`/proc/${pid}/comm`).trim()} (pid ${pid})`;
  }
  return undefined;
}

// Processes come and go while we look, and other users' are closed to us: what cannot be read tells nothing.
const readText = (path: string): string => quietly(() => readFileSync(path, 'utf8'), '');
const list = (path: string): string[] => quietly(() => readdirSync(path), []);
const linkOf = (path: string): string => quietly(() => readlinkSync(path), '');

function quietly<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
