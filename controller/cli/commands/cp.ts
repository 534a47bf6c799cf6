import { parseArgs } from 'node:util';
import { humanBytes } from '#shared/human-bytes.ts';
import { type Command, commonOptions, exitCodes, parsed, usageError } from '../command.ts';
import { openSpoonbox } from '../open-client.ts';
import { hint, statusLine } from '../output.ts';

export const cp: Command = {
  name: 'cp',
  summary: 'copy files into a box, or out of it',
  help: `Copies files and folders between this machine and a box, as tar streams; names, modes and times are kept. What is
copied appears under its name when it is whole; a copy that breaks off leaves nothing half behind. A folder onto a
folder is put together with it. A link that is named is copied as what it leads to; links in a folder stay links. The
box is started if it is not there; it needs sh, tar, and the usual mktemp, mv, cp and rm.

Usage: spoonbox cp [-r] FILE… USER:PATH
       spoonbox cp [-r] USER:PATH FILE

PATH is taken from the home where it does not begin with /; an existing folder takes the files into it. A FILE here
that has a colon in its name is written with ./ before it.

Options
  -r, --recursive   folders too
  -q, --quiet       no progress

Examples
  spoonbox cp notes.md alice:
  spoonbox cp -r src alice:Code/project
  spoonbox cp alice:Code/project/build.log .
  spoonbox cp -r alice: ./alice-home`,
  async run(args, signal) {
    const { values, positionals } = parsed('cp', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          recursive: { type: 'boolean', short: 'r', default: false },
          quiet: { type: 'boolean', short: 'q', default: false },
        },
        allowPositionals: true,
      }),
    );
    const target = positionals.at(-1);
    const sources = positionals.slice(0, -1);
    const [first] = sources;
    if (target === undefined || first === undefined) throw usageError('say what to copy, and whereto', 'cp');
    const to = placeOf(target);
    const from = sources.map(placeOf);
    const spoonbox = openSpoonbox(values);
    // In a pipe each count would be a line of its own.
    const line = values.quiet || process.stderr.isTTY !== true ? null : statusLine();
    const progress = (bytes: number): void => line?.show(`${humanBytes(bytes)} copied`);
    const { recursive } = values;
    try {
      if (to.user !== null && from.every(({ user }) => user === null)) {
        const { copyTo } = await import('../copy/copy-to.ts');
        const files = from.map(({ path }) => path);
        await copyTo(spoonbox, { files, user: to.user, path: to.path, recursive }, progress, signal);
      } else if (to.user === null && from.length === 1 && from[0] && from[0].user !== null) {
        const { copyFrom } = await import('../copy/copy-from.ts');
        await copyFrom(
          spoonbox,
          { user: from[0].user, path: from[0].path, file: to.path, recursive },
          progress,
          signal,
        );
      } else {
        throw usageError('copy files of this machine to one USER:PATH, or one USER:PATH to this machine', 'cp');
      }
    } finally {
      line?.clear();
    }
    if (!values.quiet) hint(`copied to ${target}`);
    return exitCodes.ok;
  },
};

/** `alice:notes` is in a box, `./alice:notes` and `C/alice:notes` are here. */
function placeOf(word: string): { user: string | null; path: string } {
  const [, user, path] = /^([^/:]+):(.*)$/s.exec(word) ?? [];
  return user === undefined ? { user: null, path: word } : { user, path: path ?? '' };
}
