import { lstat, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { codeOf, StartError } from '#shared/faults.ts';

/** Owner and group may connect: 0660. */
const umask = 0o117;

/**
 * Listens on a unix socket. A file that a killed process has left is replaced; one that somebody listens on, and one that is no
 * socket, is left alone. Throws a StartError that says what to do.
 */
export async function listenAt(server: Server, path: string): Promise<void> {
  await removeStale(path);
  // By the mask, not by a chmod afterwards: nobody else gets in meanwhile.
  const before = process.umask(umask);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw new StartError(
      `No socket can be made at ${path} (${codeOf(error) ?? String(error)}): see its folder and its owner.`,
      1,
      {
        cause: error,
      },
    );
  } finally {
    process.umask(before);
  }
}

async function removeStale(path: string): Promise<void> {
  const there = await lstat(path).catch(() => null);
  if (there === null) return;
  if (!there.isSocket())
    throw new StartError(`${path} is there and is no socket: remove it, or set SPOON_FILTER_SOCKET to another path.`);
  const refusal = await new Promise<unknown>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(null);
    });
    socket.once('error', resolve);
  });
  if (refusal === null)
    throw new StartError(`Another process listens at ${path}: end it, or set SPOON_FILTER_SOCKET to another path.`);
  if (codeOf(refusal) !== 'ECONNREFUSED')
    throw new StartError(`${path} cannot be looked at (${codeOf(refusal) ?? String(refusal)}).`, 1, { cause: refusal });
  await rm(path, { force: true });
}
