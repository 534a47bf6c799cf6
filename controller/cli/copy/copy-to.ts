import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { type Pack, pack } from 'tar-fs';
import type { Spoonbox } from '../../sdk/connect.ts';
import { CliError } from '../command.ts';
import { jobIn } from './job-in.ts';
import { counted } from './counted.ts';

/** The last entry: a stream that was cut between two others looks whole to tar. */
const seal = 'end';

/**
 * $1 whereto, then the names that the files are to have. They come as a tar stream whose top entries are numbers, so that no name
 * means anything to tar or to the shell. Where there is a folder, they go into it; a folder onto a folder is put together with it.
 */
const script = `set -eu
to=\${1:-.}; shift
case $to in /*) ;; *) to=./$to;; esac
if [ -d "$to" ]; then dir=$to; name=
elif [ $# -gt 1 ]; then echo "$to is no folder: several files need one" >&2; exit 1
else case $to in */) echo "$to is no folder" >&2; exit 1;; esac; dir=$(dirname -- "$to"); name=$(basename -- "$to"); fi
tmp=$(mktemp -d -- "$dir/.spoonbox-cp.XXXXXX")
trap 'rm -rf -- "$tmp"' EXIT; trap 'exit 129' HUP INT TERM
tar -x -o -f - -C "$tmp"
if [ ! -f "$tmp/${seal}" ]; then echo "the copy broke off before its end" >&2; exit 1; fi
i=0
for given; do
  final=$dir/\${name:-$given}
  if [ -d "$tmp/$i" ] && [ -d "$final" ]; then cp -a -- "$tmp/$i/." "$final/"
  elif [ -d "$final" ]; then echo "$final is a folder" >&2; exit 1
  else mv -f -- "$tmp/$i" "$final"; fi
  i=$((i+1))
done`;

/** Copies files and folders of this machine into a box. Throws where one is not there, or the box refuses it. */
export async function copyTo(
  spoonbox: Spoonbox,
  of: { files: readonly string[]; user: string; path: string; recursive: boolean },
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const names = of.files.map((file) => basename(resolve(file)));
  const files = await Promise.all(of.files.map((file) => copyable(resolve(file), of.recursive)));
  const command = ['sh', '-c', script, 'spoonbox-cp', of.path, ...names];
  const stream = packAll(files);
  try {
    await jobIn(spoonbox, { user: of.user, command, stdin: counted(stream, onProgress) }, signal);
  } finally {
    stream.destroy();
  }
}

/** Where it is: a link that is named is copied as what it leads to. */
async function copyable(file: string, recursive: boolean): Promise<string> {
  const unreadable = (error: unknown): never => {
    throw new CliError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  };
  const found = await stat(file).catch(unreadable);
  if (found.isDirectory() && !recursive) throw new CliError(`${file} is a folder: copy it with -r`);
  if (!found.isDirectory() && !found.isFile()) throw new CliError(`${file} is neither a file nor a folder`);
  return await realpath(file).catch(unreadable);
}

/** One stream of all: each packed by itself, under its number. */
function packAll(files: readonly string[]): Pack {
  const packFrom = (index: number) => (stream: Pack) => {
    const file = files[index];
    if (file === undefined) {
      stream.entry({ name: seal }, '', () => stream.finalize());
      return;
    }
    const top = basename(file);
    pack(dirname(file), {
      pack: stream,
      entries: [top],
      map: (header) => ({ ...header, name: numbered(header.name, top, index) }),
      finalize: false,
      finish: packFrom(index + 1),
    });
  };
  return pack('.', { entries: [], finalize: false, finish: packFrom(0) });
}

/** The path of an entry below the file that is copied, with a number in the place of that file's name. */
function numbered(name: string, top: string, index: number): string {
  return `${index}${name.slice(top.length)}`;
}
