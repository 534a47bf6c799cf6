/** What runs in a box on our behalf. Short, because the engine shows commands in its events. POSIX sh, as in busybox. */

/**
 * $1 rows, $2 columns (0 = the engine has set the size), $3 directory below the home ('' = home).
 * The shell is `$SHELL` where the image or the class sets it, else bash, else sh; a login shell, so that the user's profile
 * is read. It replaces this one, so that the exec's exit code and signals are the shell's. The size is set
 * beside it, because its first prompt need not wait for that; no profile is read so soon.
 */
export const loginScript = `[ "$1" = 0 ] || { stty rows "$1" cols "$2" <&1 2>/dev/null & }
cd 2>/dev/null
[ -z "$3" ] || cd -- "./$3" 2>/dev/null || printf '\\033[2m%s is not there; this is the home\\033[0m\\r\\n' "$3"
for s in "$SHELL" /bin/bash /bin/sh; do [ -x "$s" ] && exec "$s" -l; done
echo "there is no shell in this image"; exit 127`;

export function loginCommand(rows: number, cols: number, directory: string | null): string[] {
  return ['/bin/sh', '-c', loginScript, 'spoonbox', String(rows), String(cols), directory ?? ''];
}
