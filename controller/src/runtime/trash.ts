import { join } from 'node:path';
import { recordingsFolder, trashFolder } from '#shared/workdir.ts';
import { helperFault, type HelperRun, runHelper } from './helper.ts';
import { homesFolder } from './home.ts';
import { makeDirectory } from './make-directory.ts';
import type { ThrownAway } from './host-port.ts';

/** Exit codes of the scripts. */
const anotherOne = 3;
/** of `timeout`, whose command was ended */
const outOfTime = 124;
/** What starting, ending and removing a helper may take of its life. */
const marginMs = 20_000;

/**
 * Moves one directory, and removes nothing. Its name is an argument, never a part of this text; the homes are refused here too,
 * whatever was asked. What is moved is looked at again where it cannot be exchanged any more, and goes back where it is not
 * what was seen. `stat` tells of a link itself, whose inode is no directory's.
 */
const throwAwayScript = `
set -eu
case "$1" in
  "" | .* | */* | ${homesFolder} | ${recordingsFolder}) echo "$1 is never thrown away" >&2; exit 64 ;;
esac
case "$2" in
  "" | *[!0-9:]*) echo "$2 are no inodes" >&2; exit 64 ;;
esac
from="/workdir/$1"
trash="/workdir/${trashFolder}"
to="$trash/$3"
inodes() { stat -c %i -- "$1" "$1/repo" 2>/dev/null | tr "\\n" ":"; }
${makeDirectory({ path: '$trash', name: trashFolder, mode: '0755' })}
if [ "$(inodes "$from")" != "$2" ] || [ -e "$to" ]; then exit ${anotherOne}; fi
mv -T -n -- "$from" "$to"
if [ "$(inodes "$to")" != "$2" ]; then
  mv -T -n -- "$to" "$from"
  exit ${anotherOne}
fi
`;

/** It sees nothing of the work directory but the trash. `rm` follows no link, and stays on one file system. */
const emptyTrashScript = `
case "$1" in "" | .* | */*) echo "$1 is no name in the trash" >&2; exit 64 ;; esac
exec timeout "$2" rm -rf --one-file-system -- "/trash/$1"
`;

/** See the port. */
export async function throwAway(
  run: HelperRun,
  hostWorkdir: string,
  { image, name, inode, as }: ThrownAway & { image: string },
  signal: AbortSignal,
): Promise<boolean> {
  const helper = {
    operation: 'throwAway',
    image,
    command: ['/bin/sh', '-c', throwAwayScript, 'throw-away', name, inode, as],
    mounts: [flatMount(hostWorkdir, '/workdir')],
    capabilities: ['DAC_OVERRIDE', 'FOWNER'],
  };
  const end = await runHelper(run, helper, signal);
  if (end.exitCode === anotherOne) return false;
  if (end.exitCode !== 0) throw helperFault(helper.operation, end);
  return true;
}

/** See the port. */
export async function emptyTrash(
  run: HelperRun,
  hostWorkdir: string,
  { image, as }: { image: string; as: string },
  signal: AbortSignal,
): Promise<boolean> {
  const forS = Math.floor((run.engine.timeouts.helperMs - marginMs) / 1_000);
  const helper = {
    operation: 'emptyTrash',
    image,
    command: ['/bin/sh', '-c', emptyTrashScript, 'empty-trash', as, String(forS)],
    mounts: [flatMount(join(hostWorkdir, trashFolder), '/trash')],
    capabilities: ['DAC_OVERRIDE', 'FOWNER'],
  };
  const end = await runHelper(run, helper, signal);
  if (end.exitCode === outOfTime) return false;
  if (end.exitCode !== 0) throw helperFault(helper.operation, end);
  return true;
}

/** Without what is mounted below it. */
function flatMount(source: string, target: string): object {
  const BindOptions = { Propagation: 'rprivate', NonRecursive: true };
  return { Type: 'bind', Source: source, Target: target, ReadOnly: false, BindOptions };
}
