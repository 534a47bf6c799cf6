import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import { bindMount } from './create-body.ts';
import { helperFault, type HelperRun, runHelper } from './helper.ts';
import { makeDirectory } from './make-directory.ts';
import type { HomeView } from './port.ts';

/** Where homes live below the work directory, on both sides. */
export const homesFolder = 'homes';

/**
 * Makes one directory and gives it to its owner. The user is an argument, never a part of this text. Only a directory that
 * was made just now, or is still root's (an engine or a crash between the two steps made it), changes hands; nothing in it
 * is looked at. `chown -h` does not follow a link that somebody puts there in between.
 */
const ensureHomeScript = `
set -eu
home="/homes/$1"
owner="$2"
${makeDirectory({ path: '$home', name: 'homes/$1', mode: '0700' })}
if [ "$(stat -c %u -- "$home")" = 0 ]; then
  chown -h -- "$owner" "$home"
fi
`;

/** What is at the place of a user's home. Links are not followed, nothing is written. */
export async function lookAtHome(workdir: string, user: UserName): Promise<HomeView> {
  const path = join(workdir, homesFolder, user);
  try {
    const stat = await lstat(path);
    if (stat.isDirectory()) return { state: 'present', uid: stat.uid };
    const what = stat.isSymbolicLink() ? 'a symbolic link' : 'not a directory';
    return { state: 'unusable', message: `${path} is ${what}: move it away` };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { state: 'absent' };
    const why = error instanceof Error ? error.message : String(error);
    return { state: 'unusable', message: `${path} cannot be looked at: ${why}` };
  }
}

/** Made by a container, because the files of a work directory may belong to another user than this process. */
export async function ensureHome(
  run: HelperRun,
  hostWorkdir: string,
  user: UserName,
  owner: { uid: number; gid: number; image: string },
  signal: AbortSignal,
): Promise<void> {
  const operation = 'ensureHome';
  const helper = {
    operation,
    image: owner.image,
    command: ['/bin/sh', '-c', ensureHomeScript, 'ensure-home', user, `${owner.uid}:${owner.gid}`],
    mounts: [bindMount(join(hostWorkdir, homesFolder), '/homes', false)],
    // DAC_OVERRIDE: the folder of the homes may belong to somebody else.
    capabilities: ['CHOWN', 'DAC_OVERRIDE'],
  };
  const end = await runHelper(run, helper, signal);
  if (end.exitCode !== 0) throw helperFault(operation, end);
}
