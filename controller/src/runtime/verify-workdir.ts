import { randomBytes } from 'node:crypto';
import { lstat, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'docker-modem';
import { EngineError, StartError } from '#shared/faults.ts';
import type { InstallationId } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { bindMount } from './create-body.ts';
import { createEngine, defaultTimeouts } from './engine.ts';
import { runHelper } from './helper.ts';

const markerPrefix = '.spoonbox-marker-';
/** An older marker was left by a process that was killed: no look takes so long. */
const leftAfterMs = 600_000;

/**
 * Proves that `hostWorkdir` is `workdir` as the engine sees it: a file written here is read there. A wrong mapping would
 * give users an empty home; it ends the start with one line. An engine that fails rejects with its EngineError.
 */
export async function verifyWorkdir(
  options: {
    docker: Docker;
    installation: InstallationId;
    workdir: string;
    hostWorkdir: string;
    /** any image with a shell that is present */
    image: string;
    log: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  const { docker, installation, workdir, hostWorkdir, image, log } = options;
  const name = `${markerPrefix}${randomBytes(8).toString('hex')}`;
  const written = randomBytes(16).toString('hex');
  const helper = {
    operation: 'verifyWorkdir',
    image,
    command: ['/bin/sh', '-c', 'cat -- "/workdir/$1"', 'verify-workdir', name],
    mounts: [bindMount(hostWorkdir, '/workdir', true)],
    capabilities: ['DAC_OVERRIDE'],
  };
  try {
    await writeMarker(join(workdir, name), written);
    await removeLeftMarkers(workdir).catch((error: unknown) => {
      log.warn({ error, workdir }, 'what killed processes left in the work directory could not be removed');
    });
    const engine = createEngine(docker, defaultTimeouts);
    const { exitCode, lastLine } = await runHelper({ engine, installation, log }, helper, signal);
    if (exitCode !== 0 || lastLine !== written)
      throw mismatch(workdir, hostWorkdir, 'a file written here is not there');
  } catch (error) {
    // The engine refuses a mount whose source it does not have.
    if (error instanceof EngineError && error.fault.kind === 'invalid') {
      throw mismatch(workdir, hostWorkdir, error.fault.message);
    }
    throw error;
  } finally {
    await rm(join(workdir, name), { force: true });
  }
}

async function writeMarker(path: string, written: string): Promise<void> {
  try {
    await writeFile(path, `${written}\n`, { flag: 'wx' });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StartError(`SPOON_AGENT_WORKDIR cannot be written to (${why}): give it to this user.`, 1, {
      cause: error,
    });
  }
}

async function removeLeftMarkers(workdir: string): Promise<void> {
  for (const name of (await readdir(workdir)).filter((entry) => entry.startsWith(markerPrefix))) {
    const path = join(workdir, name);
    // null: another controller's, which took it away meanwhile.
    const left = await lstat(path).catch(() => null);
    if (left !== null && Date.now() - left.mtimeMs > leftAfterMs) await rm(path, { force: true });
  }
}

function mismatch(workdir: string, hostWorkdir: string, why: string): StartError {
  return new StartError(
    `SPOON_AGENT_HOST_WORKDIR (${hostWorkdir}) is not SPOON_AGENT_WORKDIR (${workdir}) as the Docker engine sees it: ${why.replaceAll(/\s+/g, ' ')}. Set it to the path on the Docker host.`,
  );
}
