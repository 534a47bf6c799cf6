/**
 * Lines of a helper's script that make one directory, where it is not there. A link in its place is none. They end the script with 73
 * where it cannot be made (`EX_CANTCREAT` of sysexits.h), and with 65 where something else is there (`EX_DATAERR`), and say so.
 * `path` and `name`, which people are told, are words of the shell's; neither has a quote.
 */
export function makeDirectory({ path, name, mode }: { path: string; name: string; mode: string }): string {
  return `
if ! why=$(mkdir -m ${mode} -- "${path}" 2>&1); then
  if [ ! -e "${path}" ] && [ ! -L "${path}" ]; then
    echo "${name} cannot be made: $why" >&2
    exit 73
  fi
fi
if [ -L "${path}" ] || [ ! -d "${path}" ]; then
  echo "${name} is there, but it is not a directory: move it away" >&2
  exit 65
fi`.trimStart();
}
