import { join } from 'node:path';
import { EngineError } from '#shared/faults.ts';
import { bindMount } from './create-body.ts';
import { helperFault, type HelperRun, runHelper } from './helper.ts';
import { homesFolder } from './home.ts';
import type { DeadCheckouts } from './host-port.ts';

/** More than these are not told. */
const mostTold = 200;
/** A look through many large homes is given up after this long. */
const lookForS = 40;
/** of `timeout`, whose command was ended */
const outOfTime = 124;

/**
 * A checkout is dead when its `.git` is a directory without a HEAD, or a file that names a git directory which is not there. Users
 * write into their homes as they like: this reads only, follows no link of theirs out of what it was given, and what it prints
 * is for people. A git directory is named as the box sees it: there, the home is "$1".
 */
const lookScript = `
cd /homes
if ! command -v find >/dev/null; then echo 'the image has no find' >&2; exit 69; fi
for code in */Code; do
  if [ -L "\${code%/Code}" ] || [ -L "$code" ] || [ ! -d "$code" ]; then continue; fi
  find -P "$code" -xdev -maxdepth 7 -name node_modules -prune -o -name .git ! -type l -prune -print
done | while IFS= read -r git; do
  if [ -d "$git" ]; then
    if [ ! -e "$git/HEAD" ]; then printf '%s\\n' "\${git%/.git}"; fi
  elif [ -f "$git" ]; then
    to=$(head -c 4096 -- "$git" | head -n 1)
    to=\${to#gitdir: }
    case "$to" in
      "$1"/*) to="/homes/\${git%%/*}/\${to#"$1"/}" ;;
      /*) continue ;;
      *) to="\${git%/.git}/$to" ;;
    esac
    if [ ! -e "$to" ]; then printf '%s\\n' "\${git%/.git}"; fi
  fi
done
`;

/** See the port. */
export async function deadCheckouts(
  run: HelperRun,
  hostWorkdir: string,
  { image, homeTarget }: { image: string; homeTarget: string },
  signal: AbortSignal,
): Promise<DeadCheckouts> {
  const helper = {
    operation: 'deadCheckouts',
    image,
    command: ['timeout', String(lookForS), '/bin/sh', '-c', lookScript, 'dead-checkouts', homeTarget],
    mounts: [bindMount(join(hostWorkdir, homesFolder), '/homes', true)],
    capabilities: ['DAC_OVERRIDE'],
    lines: mostTold + 1,
  };
  const end = await runHelper(run, helper, signal);
  if (end.exitCode === outOfTime) {
    const message = `the look through the homes took more than ${lookForS} s and was given up`;
    throw new EngineError({ operation: helper.operation, kind: 'timeout', status: null, message });
  }
  if (end.exitCode !== 0) throw helperFault(helper.operation, end);
  // A name may hold anything; one with control characters is not told.
  const lines = end.output.replace(/\n$/, '').split('\n');
  const told = lines.slice(-mostTold).filter((line) => /^[^/]+\/Code\/\P{Cc}+$/u.test(line));
  return { paths: told, isWhole: lines.length <= mostTold };
}
