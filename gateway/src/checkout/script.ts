import { allowedProtocols, type Checkout, type Clone, defaultCloneDepth, pathOf } from '#shared/checkout.ts';

/** Exit code of a checkout that cannot be used; why is on standard output. */
export const refusedCode = 3;
/** Of one that git could not clone; its words are on standard error. */
const failedCode = 4;

/**
 * Makes the directory of a checkout, and clones into it where that is asked for, in the box and as its user. POSIX sh with coreutils
 * and git. $1 path below the home, and for a clone $2 URL, $3 ref, $4 depth (0 = all), $5 variable with the credential ('' = none),
 * $6 where that is sent, $7 what git may speak.
 *
 * It goes down name by name and never through a link, so that it ends where the path says, or not at all. A clone is made beside
 * its place under a name that says who makes it (process, its start, box), and is renamed into it whole. What a killed one has left
 * is known by that name, also in another box, and removed by the next. The lock only saves work: where two hold it, because both
 * found the same dead owner's, the first rename counts.
 */
const script = `no() { printf '%s' "$1"; exit ${refusedCode}; }
cd -P -- "$HOME" 2>/dev/null || no 'there is no home in this box'
at=$(pwd -P) rest=$1 seen= deep=0
link() { [ ! -L "./$1" ] || no "$seen is a link, and a checkout goes through none: move it away"; }
make() { [ -d "./$1" ] || e=$(mkdir -- "./$1" 2>&1) || [ -d "./$1" ] || no "$seen cannot be made: $e"; }
while name=\${rest%%/*}; seen=\${seen:+$seen/}$name; link "$name"; [ "$name" != "$rest" ]; do
make "$name"
cd -P -- "./$name" 2>/dev/null || no "$seen cannot be entered"
at=\${at%/}/$name; [ "$(pwd -P)" = "$at" ] || no "$seen was replaced by a link just now"
[ $deep = 0 ] || [ ! -e .git ] || no "$seen is a checkout itself, and another one would be in it: move it away"
deep=1 rest=\${rest#*/}
done
if [ $# -lt 2 ]; then make "$name"; exit 0; fi
is_made() { link "$name"; [ -e "./$name/.git" ]; }
is_made && exit 0
[ ! -e "./$name" ] || [ -d "./$name" ] || no "$seen is no directory: move it away"
[ ! -d "./$name" ] || [ -z "$(ls -A -- "./$name")" ] || no "$seen is there, not empty, and no git checkout: move it away, or ask for no clone"
command -v git >/dev/null || no 'git is not in the image of this box: take a class whose image has it'
born() { s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1; set -- \${s##*) }; echo "\${20}"; }
box=$(cat /proc/sys/kernel/hostname); me=$$.$(born $$).$box
lives() { r=\${1#*.}; [ "\${r#*.}" = "$box" ] && [ "$(born "\${1%%.*}")" = "\${r%%.*}" ]; }
all=.spoonbox-clone-; lock=$all$(printf %s "$name" | cksum | cut -d' ' -f1); tmp=$lock.$me; lock=$lock.lock; tries=0
until e=$(ln -s -- "$me" "./$lock" 2>&1); do
is_made && exit 0
if o=$(readlink -- "./$lock"); then
if lives "$o"; then [ $tries != 0 ] || echo "$seen is being cloned already; waiting" >&2; tries=1; sleep 1; else rm -f -- "./$lock"; fi
elif tries=$((tries+1)); [ $tries -gt 20 ]; then no "$seen cannot be cloned: $e"; fi
done
trap 'rm -rf -- "./$tmp"; [ "$(readlink -- "./$lock")" != "$me" ] || rm -f -- "./$lock"' EXIT
trap 'exit 129' HUP INT TERM
is_made && exit 0
for old in "./$all"*; do o=\${old#./$all*.}; [ "$o" = lock ] || lives "$o" || rm -rf -- "$old"; done
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL="$7" GIT_HTTP_LOW_SPEED_LIMIT=1 GIT_HTTP_LOW_SPEED_TIME=60
if [ -n "$5" ]; then
SPOONBOX_CREDENTIAL=$(printenv "$5") && [ -n "$SPOONBOX_CREDENTIAL" ] || no "the variable $5, which is to hold the credential, is not set in this box"
n=\${GIT_CONFIG_COUNT:-0}
export SPOONBOX_CREDENTIAL "GIT_CONFIG_KEY_$n=credential.helper" "GIT_CONFIG_VALUE_$n=" "GIT_CONFIG_KEY_$((n+1))=credential.$6.helper" \\
"GIT_CONFIG_VALUE_$((n+1))="'!f() { [ "$1" = get ] || exit 0; case $SPOONBOX_CREDENTIAL in *:*) u=\${SPOONBOX_CREDENTIAL%%:*};; *) u=git;; esac
printf "username=%s\\npassword=%s\\n" "$u" "\${SPOONBOX_CREDENTIAL#*:}"; }; f' "GIT_CONFIG_COUNT=$((n+2))"
fi
url=$2 ref=$3 depth=$4; set --; [ "$depth" = 0 ] || set -- --depth="$depth"
git clone --progress --branch="$ref" "$@" -- "$url" "./$tmp" >&2 || exit ${failedCode}
e=$(mv -T -- "./$tmp" "./$name" 2>&1) || is_made || no "$seen cannot be put in its place: $e"`;

/** The command for `BoxCommands`. No secret is in it: engines and lists of processes show it. */
export function checkoutCommand(checkout: Checkout): string[] {
  const path = pathOf(checkout);
  const { clone } = checkout;
  const given = clone === undefined ? [] : wordsOf(clone, checkout.branch);
  return ['/bin/sh', '-c', script, 'spoonbox', path, ...given];
}

function wordsOf({ url, ref, depth = defaultCloneDepth, credential }: Clone, branch: string): string[] {
  // Of that server only: a redirect to another one must not get it.
  const sentTo = credential === undefined ? '' : new URL(url).origin;
  return [url, ref ?? branch, String(depth), credential ?? '', sentTo, allowedProtocols];
}
